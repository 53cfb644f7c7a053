"""Laws of plans: the order of a lock's files does not matter, and sizes need no bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import sample_package
from tests.corpus import read_tree

from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.model.manifest import Layout, Storage

_part = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)
_ending = st.sampled_from(["", ".json", ".safetensors", ".gguf"])
_path = st.builds(lambda parts, ending: "/".join(parts) + ending, st.lists(_part, min_size=1, max_size=3), _ending)


def _is_tree(files: dict[str, bytes]) -> bool:
    """No file lies where another needs a directory."""
    return not any(other.startswith(f"{path}/") for path in files for other in files)


_files = st.dictionaries(_path, st.binary(max_size=40), min_size=1, max_size=5).filter(_is_tree)


@given(files=_files, layout=st.sampled_from(Layout), storage=st.sampled_from(Storage), data=st.data())
def test_a_plan_does_not_depend_on_the_order_of_files(
    files: dict[str, bytes], layout: Layout, storage: Storage, data: st.DataObject
) -> None:
    shuffled = dict(data.draw(st.permutations(list(files.items()))))
    one, other = (sample_package.plan(layout, storage, files=order) for order in (files, shuffled))
    assert one == other


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(files=_files, layout=st.sampled_from(Layout), storage=st.sampled_from(Storage))
def test_sizes_and_hash_are_those_of_the_tree_on_disk(
    files: dict[str, bytes], layout: Layout, storage: Storage
) -> None:
    plan = sample_package.plan(layout, storage, files=files)
    with tempfile.TemporaryDirectory() as folder:
        dumped = b"".join(nar.dump(read_tree(sample_package.write_store(plan, Path(folder), files))))
    assert plan.nar_size == len(dumped)
    assert plan.nar_hash() in (None, Hash.sha256_of(dumped))
