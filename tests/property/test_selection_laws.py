from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hf_pack.model.file_names import is_bookkeeping
from hf_pack.model.manifest import Selection
from hf_pack.model.selection import select
from hf_pack.model.weight_formats import WeightFormat, weight_format

_directories = st.sampled_from(["", "onnx/", "original/", "1_Pooling/", "vision/", "checkpoint-5/", ".cache/", "a/b/"])
_stems = st.sampled_from(
    ["model", "model-00001-of-00002", "model.fp16", "config", "tokenizer", "x-Q4_0", "x-Q8_0", "z"]
)
_endings = st.sampled_from(
    [".safetensors", ".bin", ".pt", ".gguf", ".json", ".safetensors.index.json", ".py", ".md", ".png", ".lock", ""]
)
_paths = st.builds(lambda *parts: "".join(parts), _directories, _stems, _endings)
_patterns = st.lists(st.sampled_from(["*", "*.json", "onnx/*", "*.bin", "x*", "model.*"]), max_size=2).map(tuple)
_selections = st.builds(Selection, include=st.none() | _patterns, exclude=_patterns, allow_pickle=st.booleans())


@given(st.sets(_paths), _selections)
def test_every_file_is_taken_or_named_with_a_reason_exactly_once(paths: set[str], selection: Selection) -> None:
    selected = select([(path, 1) for path in paths], selection)
    told = [*selected.files, *(file.path for file in selected.omitted)]
    assert sorted(told) == sorted(path for path in paths if not is_bookkeeping(path))
    assert all(file.reason for file in selected.omitted)
    assert list(selected.files) == sorted(selected.files)


@given(st.sets(_paths), _selections, st.randoms(use_true_random=False))
def test_the_order_and_the_sizes_do_not_matter(paths: set[str], selection: Selection, shuffler: random.Random) -> None:
    shuffled = sorted(paths)
    shuffler.shuffle(shuffled)
    once = select([(path, 1) for path in sorted(paths)], selection)
    assert select([(path, shuffler.randrange(10**9)) for path in shuffled], selection) == once


@given(st.sets(_paths), _selections)
def test_a_choice_of_its_own_result_changes_nothing(paths: set[str], selection: Selection) -> None:
    once = select([(path, 1) for path in paths], selection)
    assert select([(path, 1) for path in once.files], selection).files == once.files


@given(st.sets(_paths))
def test_a_directory_holds_one_format_by_default(paths: set[str]) -> None:
    by_directory: dict[str, set[WeightFormat]] = {}
    for path in select([(path, 1) for path in paths], Selection()).files:
        found = weight_format(path)
        if found is not None:
            by_directory.setdefault(path.rpartition("/")[0], set()).add(found)
    assert all(len(formats) == 1 for formats in by_directory.values())


@given(st.sets(_paths), _selections)
def test_pickles_are_never_taken_silently(paths: set[str], selection: Selection) -> None:
    selected = select([(path, 1) for path in paths], selection)
    pickles = {path for path in selected.files if (found := weight_format(path)) and found.is_pickle}
    assert selection.allow_pickle or pickles == set(selected.pickles)
