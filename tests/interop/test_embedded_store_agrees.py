"""Real Nix sees in an embedded store what we say is there, and the other way round."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.embedded_stores import (
    NEEDS_NIX,
    Quiet,
    add_bytes,
    assert_sound,
    linked_plan,
    nix,
    nix_lines,
    nix_path_info,
    self_contained_plan,
    source_file,
)

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo

pytestmark = NEEDS_NIX


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def _assert_agree(store: EmbeddedStore, info: PathInfo) -> None:
    found = nix_path_info(store.root, info.store_path)
    assert Hash.parse(found["narHash"]) == info.nar_hash
    assert found["narSize"] == info.nar_size
    assert sorted(found["references"]) == [str(reference) for reference in info.references]
    assert found["ca"] == info.content_address
    assert found["registrationTime"] == info.registration_time


def test_blobs_have_the_paths_and_facts_of_nix(store: EmbeddedStore, tmp_path: Path) -> None:
    contents = {"empty.bin": b"", "seven.bin": b"sevenxx", "large.safetensors": bytes(range(256)) * 20_000}
    files = [source_file(tmp_path / "src", name, data) for name, data in contents.items()]
    for file, added in zip(files, store.add_blobs(files, Quiet()), strict=True):
        info = store.path_info(added.blob.store_path)
        assert info is not None
        assert added.bytes_read == added.bytes_written == len(contents[file.name])
        _assert_agree(store, info)
        other = tmp_path / "other"
        assert nix(other, "--add-fixed", "sha256", str(file.real_path)).strip() == str(info.store_path)
        expected = nix_path_info(other, info.store_path)
        assert (expected["narHash"], expected["ca"]) == (info.nar_hash.sri(), info.content_address)
    assert_sound(store.root)


def test_a_linked_tree_refers_to_its_blobs(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blobs = [add_bytes(store, tmp_path / "src", f"{n}.bin", bytes([n]) * 5000).blob for n in range(3)]
        plan = linked_plan("model-1.0+abc", blobs)
        added = store.add_tree(plan, Quiet())
    assert added.info.store_path == plan.store_path()
    assert added.bytes_written == 2
    _assert_agree(store, added.info)
    path = str(added.info.store_path)
    assert nix_lines(store.root, "--query", "--references", path) == sorted(str(blob.store_path) for blob in blobs)
    assert nix_lines(store.root, "--query", "--requisites", path) == sorted(
        [path, *(str(blob.store_path) for blob in blobs)]
    )
    link = store.real_path(added.info.store_path) / "weights" / "1-1.bin"
    assert link.read_bytes() == bytes([1]) * 5000
    assert_sound(store.root)


def test_a_self_contained_tree_is_what_nix_adds(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blob = add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob
        added = store.add_tree(self_contained_plan("model-1.0", [blob]), Quiet())
    _assert_agree(store, added.info)
    real_path = store.real_path(added.info.store_path)
    assert (real_path / "a" / "weights" / "0-w.bin").samefile(store.real_path(blob.store_path))
    copy = tmp_path / "model-1.0"
    shutil.copytree(real_path, copy, symlinks=True)
    assert nix(tmp_path / "other", "--add", str(copy)).strip() == str(added.info.store_path)
    assert_sound(store.root)


def test_nix_copies_a_package_to_another_store(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blob = add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob
        path = store.add_tree(linked_plan("model-1.0", [blob]), Quiet()).info.store_path
    other = EmbeddedStore(tmp_path / "other")
    nix(other.root, "copy", "--from", str(store.root), str(path), program="nix")
    assert [info.store_path for info in other.all_paths()] == sorted([path, blob.store_path])
    assert {(info.nar_hash, info.content_address) for info in other.all_paths()} == {
        (info.nar_hash, info.content_address) for info in store.all_paths()
    }


def test_what_nix_added_is_seen_and_used(store: EmbeddedStore, tmp_path: Path) -> None:
    file = source_file(tmp_path / "src", "w.bin", b"w" * 100_000)
    flat = StorePath.parse(nix(store.root, "--add-fixed", "sha256", str(file.real_path)).strip())
    nested = StorePath.parse(nix(store.root, "--add", str(tmp_path / "src")).strip())
    assert {info.store_path for info in store.all_paths()} == {flat, nested}
    for info in store.all_paths():
        _assert_agree(store, info)
        assert store.check(info.store_path, Quiet()) == ()
    sha256 = Hash.sha256_of(b"w" * 100_000)
    known = source_file(tmp_path / "elsewhere", "w.bin", b"")
    added = store.add_blobs([type(known)(name="w.bin", real_path=known.real_path, expected=sha256)], Quiet())[0]
    assert (added.blob.store_path, added.blob.size, added.bytes_read) == (flat, 100_000, 0)


def test_nix_deletes_and_optimises_and_we_go_on(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blob = add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob
        tree = store.add_tree(linked_plan("model-1.0", [blob]), Quiet()).info.store_path
    nix(store.root, "--delete", str(tree))
    assert store.valid_paths([tree, blob.store_path]) == {blob.store_path}
    again = store.add_tree(linked_plan("model-1.0", [blob]), Quiet())
    assert (again.info.store_path, again.bytes_written) == (tree, 2)
    nix(store.root, "--optimise")
    assert store.check(blob.store_path, Quiet()) == store.check(tree, Quiet()) == ()
    assert_sound(store.root)
