from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests import sample_package
from tests.corpus import read_tree

from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_path, recursive_path
from hf_pack.layouts.lay_out import lay_out
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.plan import Plan, RegularFile, Symlink

EVERY = [(layout, storage) for layout in Layout for storage in Storage]
SNAPSHOT = f"share/models/hub/models--acme--Tiny-LLM/snapshots/{sample_package.COMMIT}"
WEIGHTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "onnx/deep/model.onnx")


@pytest.fixture(params=EVERY, ids=lambda pair: f"{pair[0].value}-{pair[1].value}")
def plan(request: pytest.FixtureRequest) -> Plan:
    return sample_package.plan(*request.param)


def paths_of(layout: Layout) -> list[str]:
    """The entries of DESIGN.md, section 5."""
    expected = ["share/tiny-1.5/flox-build-version-3", "share/tiny-1.5/hf-pack.json"]
    if layout is not Layout.SINGLE:
        expected.append("share/models/hub/models--acme--Tiny-LLM/refs/main")
        expected += [f"{SNAPSHOT}/{path}" for path in sample_package.FILES]
    if layout is not Layout.HF:
        expected += ["share/models/tiny_1_5/config.pbtxt", "share/models/tiny_1_5/model-defaults.json"]
    if layout is Layout.SINGLE:
        expected += [f"share/models/tiny_1_5/weights/{path}" for path in sample_package.FILES]
    if layout is Layout.DUAL:
        expected.append("share/models/tiny_1_5/weights")
        expected += ["share/triton/tiny_1_5/1/model.json", "share/triton/tiny_1_5/config.pbtxt"]
    return sorted(expected)


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("layout", Layout)
def test_a_layout_has_these_entries_and_no_other(layout: Layout, storage: Storage) -> None:
    assert [entry.path for entry in sample_package.plan(layout, storage).entries] == paths_of(layout)


def test_the_store_name_is_pname_and_full_version(plan: Plan) -> None:
    assert plan.name == "tiny-1.5-1.0.0+a1b2c3d"


def test_every_link_resolves_in_a_store_under_another_root(plan: Plan, tmp_path: Path) -> None:
    store = tmp_path / "elsewhere" / "nix" / "store"
    tree = sample_package.write_store(plan, store)
    for entry in plan.entries:
        if isinstance(entry, Symlink):
            assert not entry.target.startswith("/")
            target = Path(os.path.normpath((tree / entry.path).parent / entry.target))
            if entry.blob is None:
                assert target.is_dir() and target.is_relative_to(tree)
            else:
                assert target == store / entry.blob.store_path.base_name
                assert Hash.sha256_of(target.read_bytes()) == entry.blob.sha256


def test_every_file_can_be_read_where_a_runtime_looks(plan: Plan, tmp_path: Path) -> None:
    tree = sample_package.write_store(plan, tmp_path)
    paths = {entry.path for entry in plan.entries}
    places = [SNAPSHOT] if "share/models/hub/models--acme--Tiny-LLM/refs/main" in paths else []
    if "share/models/tiny_1_5/config.pbtxt" in paths:
        places.append("share/models/tiny_1_5/weights")
    assert places
    for place in places:
        for path, contents in sample_package.FILES.items():
            assert (tree / place / path).read_bytes() == contents


def test_dual_links_weights_to_the_snapshot_inside_the_package() -> None:
    links = {
        entry.path: entry.target
        for entry in sample_package.plan(Layout.DUAL, Storage.SELF_CONTAINED).entries
        if isinstance(entry, Symlink)
    }
    inside = f"../hub/models--acme--Tiny-LLM/snapshots/{sample_package.COMMIT}"
    assert links == {"share/models/tiny_1_5/weights": inside}


def test_linked_weights_are_links_to_what_fetchurl_of_them_gives() -> None:
    links = {entry.path: entry for entry in sample_package.plan(Layout.HF).entries if isinstance(entry, Symlink)}
    assert set(links) == {f"{SNAPSHOT}/{path}" for path in WEIGHTS}
    for path in WEIGHTS:
        blob = flat_path(path.rsplit("/", 1)[-1], Hash.sha256_of(sample_package.FILES[path]))
        link = links[f"{SNAPSHOT}/{path}"]
        assert link.target == "../" * (6 + 1 + path.count("/")) + blob.base_name


def test_self_contained_holds_the_weights_and_refers_to_nothing() -> None:
    for layout in Layout:
        plan = sample_package.plan(layout, Storage.SELF_CONTAINED)
        inside = {
            entry.path for entry in plan.entries if isinstance(entry, RegularFile) and isinstance(entry.contents, Blob)
        }
        assert len(inside) == len(WEIGHTS)
        assert plan.references == ()
        assert plan.nar_hash() is None and plan.store_path() is None


def test_sizes_are_those_of_the_nars(plan: Plan, tmp_path: Path) -> None:
    tree = sample_package.write_store(plan, tmp_path)
    dumped = b"".join(nar.dump(read_tree(tree)))
    assert plan.nar_size == len(dumped)
    linked = plan.storage is Storage.LINKED
    objects = [tmp_path / blob.store_path.base_name for blob in plan.blobs] if linked else []
    assert plan.closure_size == len(dumped) + sum(len(b"".join(nar.dump(read_tree(path)))) for path in objects)
    if linked:
        assert plan.nar_hash() == Hash.sha256_of(dumped)
        assert plan.references == tuple(sorted(blob.store_path for blob in plan.blobs))
        assert plan.store_path() == recursive_path(plan.name, Hash.sha256_of(dumped), plan.references)


def test_a_blob_that_two_files_share_is_one(tmp_path: Path) -> None:
    files = {"a/w.bin": b"w", "b/w.bin": b"w", "b/v.bin": b"w"}
    plan = sample_package.plan(files=files)
    assert [blob.name for blob in plan.blobs] == ["v.bin", "w.bin"]
    tree = sample_package.write_store(plan, tmp_path, files)
    assert {(tree / SNAPSHOT / path).read_bytes() for path in files} == {b"w"}


def test_names_of_blobs_are_made_legal() -> None:
    plan = sample_package.plan(files={"模型 v1.safetensors": b"w", "a/.hidden.bin": b"x", "b/x.drv.npy": b"y"})
    assert [blob.name for blob in plan.blobs] == ["_---v1.safetensors", "_.hidden.bin", "x.drv.npy"]


def test_a_kept_file_that_is_missing_is_named() -> None:
    kept = {path: contents for path, contents in sample_package.kept().items() if path != "config.json"}
    with pytest.raises(ValueError, match=r"^config\.json: its bytes are missing beside the lock$"):
        lay_out(sample_package.manifest(), sample_package.lock(), sample_package.META, kept)


def test_a_kept_file_of_other_bytes_is_named() -> None:
    kept = {**sample_package.kept(), "config.json": b"{}"}
    with pytest.raises(ValueError, match=r"^config\.json: its bytes beside the lock are not those"):
        lay_out(sample_package.manifest(), sample_package.lock(), sample_package.META, kept)


def test_entries_that_cannot_be_together_are_refused() -> None:
    file = RegularFile(path="a", contents=b"")
    for other in (RegularFile(path="a/b", contents=b""), file):
        clashing = Plan(name="n", storage=Storage.LINKED, entries=(file, other))
        with pytest.raises(ValueError, match=r"a file lies where|two entries"):
            _ = clashing.nar_size


def test_the_digest_speaks_of_every_part_of_a_plan() -> None:
    base = sample_package.plan()
    others = [
        sample_package.plan(Layout.HF),
        sample_package.plan(storage=Storage.SELF_CONTAINED),
        sample_package.plan(snapshot_id="1" * 40),
        sample_package.plan(files={**sample_package.FILES, "empty.txt": b"1"}),
        sample_package.plan(files={**sample_package.FILES, "onnx/deep/model.onnx": b"1"}),
    ]
    assert len({plan.digest() for plan in (base, *others)}) == 6
