from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.embedded_stores import (
    Quiet,
    add_bytes,
    linked_plan,
    self_contained_plan,
    snapshot,
    source_file,
    store_entries,
)

from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.embedded.temp_roots import TempRoots
from hf_pack.disk import staging
from hf_pack.disk.staging import names_in
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def _blob(store: EmbeddedStore, tmp_path: Path, name: str, size: int = 100) -> Blob:
    return add_bytes(store, tmp_path / "src", name, name.encode() * (size // len(name))).blob


def _root(store: EmbeddedStore, tmp_path: Path, *paths: StorePath) -> Path:
    owner = tmp_path / "owner.lock"
    owner.touch()
    store.add_root(owner, paths)
    return owner


def test_a_dry_run_says_the_same_and_changes_nothing(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blobs = [_blob(store, tmp_path, f"{n}.bin", 100_000) for n in range(4)]
        live = store.add_tree(linked_plan("live", blobs[:2]), Quiet()).info.store_path
        for plan in (linked_plan("dead", blobs[1:]), self_contained_plan("whole", blobs)):
            store.add_tree(plan, Quiet())
        owner = _root(store, tmp_path, live)
    (store.root / "nix" / "store" / "leftover").write_bytes(b"x" * 5000)
    (store.root / "nix" / "var" / "hf-pack" / "staging" / "1-dead").mkdir()
    (store.root / "nix" / "var" / "nix" / "temproots" / "1").write_bytes(f"{live}\0".encode())
    before = snapshot(store.root)
    would = store.collect_garbage(dry_run=True)
    assert snapshot(store.root) == before
    assert store.collect_garbage(dry_run=False) == would
    assert list(would.deleted) == sorted(would.deleted)
    assert {path.name for path in would.deleted} == {"2.bin", "3.bin", "dead", "whole"}
    assert would.kept == 3
    assert store_entries(store.root) == {info.store_path.base_name for info in store.all_paths()}
    owner.unlink()
    assert store.collect_garbage(dry_run=True) == store.collect_garbage(dry_run=False)


def test_shared_bytes_are_freed_with_their_last_link(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blob = _blob(store, tmp_path, "w.bin", 1_000_000)
        whole = store.add_tree(self_contained_plan("whole", [blob]), Quiet()).info.store_path
        owner = _root(store, tmp_path, whole)
    first = store.collect_garbage(dry_run=True)
    assert (first.deleted, first.freed) == ((blob.store_path,), 0)
    assert store.collect_garbage(dry_run=False) == first
    owner.unlink()
    second = store.collect_garbage(dry_run=True)
    assert second.deleted == (whole,)
    assert 1_000_000 <= second.freed < 1_100_000
    assert store.collect_garbage(dry_run=False) == second


def test_bytes_linked_within_what_goes_are_counted_once(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        blob = _blob(store, tmp_path, "w.bin", 1_000_000)
        store.add_tree(self_contained_plan("whole", [blob]), Quiet())
    would = store.collect_garbage(dry_run=True)
    assert 1_000_000 <= would.freed < 1_100_000
    assert store.collect_garbage(dry_run=False) == would


def test_the_memory_of_trees_goes_with_them(store: EmbeddedStore, tmp_path: Path) -> None:
    memory = store.root / "nix" / "var" / "hf-pack" / "trees"
    with store.session():
        blob = _blob(store, tmp_path, "w.bin")
        store.add_tree(self_contained_plan("whole", [blob]), Quiet())
        store.collect_garbage(dry_run=False)
        assert len(names_in(memory)) == 1
    store.collect_garbage(dry_run=False)
    assert names_in(memory) == set()


def test_a_root_that_comes_in_the_middle_is_heard(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first batch is being deleted, another process roots what is to be deleted after it."""
    with store.session():
        blobs = [_blob(store, tmp_path, f"{n:03}.bin") for n in range(100)]
        tree = store.add_tree(linked_plan("tree", blobs[:2]), Quiet()).info.store_path
    layout = StoreLayout.at(store.root)
    doomed = {path.base_name for path in store.collect_garbage(dry_run=True).deleted}
    other = TempRoots(layout)
    deleted: list[str] = []
    wanted: list[StorePath] = []
    answered = threading.Event()
    real_remove = staging.remove_tree

    def ask() -> None:
        other.add(wanted)
        answered.set()

    asker = threading.Thread(target=ask)

    def remove(path: Path) -> int:
        if path.name in doomed:
            if not deleted:
                left = [blob.store_path for blob in blobs if (path.parent / blob.store_path.base_name).exists()]
                # The one that is being deleted now, and one that is not: the tree is among the first.
                wanted.extend([StorePath.parse_base_name(path.name), *left[-1:]])
                asker.start()
            deleted.append(path.name)
            assert not answered.is_set() or path.name != wanted[0].base_name
        return real_remove(path)

    monkeypatch.setattr(staging, "remove_tree", remove)
    with other.session():
        store.collect_garbage(dry_run=False)
        asker.join()
        assert not store.real_path(wanted[0]).exists()  # it was answered when this was gone
    assert tree.base_name in deleted
    assert store_entries(store.root) == {info.store_path.base_name for info in store.all_paths()}


def test_an_adder_of_a_path_that_is_being_deleted_makes_it_again(store: EmbeddedStore, tmp_path: Path) -> None:
    files = [source_file(tmp_path / "src", f"{n}.bin", b"%d" % n) for n in range(10)]
    stop = threading.Event()

    def collect() -> None:
        with EmbeddedStore(store.root) as collector:
            while not stop.is_set():
                collector.collect_garbage(dry_run=False)

    store.add_blobs(files, Quiet())
    thread = threading.Thread(target=collect)
    thread.start()
    for _ in range(5):
        with store.session():
            for file in files:
                blob = store.add_blobs([file], Quiet())[0].blob
                assert store.check(blob.store_path, Quiet()) == ()
    stop.set()
    thread.join()
