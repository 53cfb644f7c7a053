"""A process killed at any system call leaves a store in which nothing is half-made, and the next run finishes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from tests.embedded_stores import (
    NEEDS_NIX,
    Quiet,
    assert_sound,
    kill_this_process_at,
    linked_plan,
    run_beside,
    self_contained_plan,
    source_file,
    store_entries,
)

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.hashes import Hash
from hf_pack.ports import FileToAdd

pytestmark = NEEDS_NIX

_CALLS = ("rename", "replace", "link", "symlink", "fsync", "mkdir", "unlink", "rmdir", "chmod", "utime", "ftruncate")
_ONE, _TWO = b"one" * 1000, b"two" * 1000


def _scenario(root: Path, source: Path) -> None:
    """Everything that adds: copies, a link under another name, both kinds of tree, a root."""
    store = EmbeddedStore(root)
    with store.session():
        files = [source_file(source, "one.bin", _ONE), source_file(source, "two.bin", _TWO)]
        other_name = FileToAdd(name="uno.bin", real_path=source / "one.bin", expected=Hash.sha256_of(_ONE))
        blobs = [added.blob for added in store.add_blobs([*files, other_name], Quiet())]
        linked = store.add_tree(linked_plan("linked", blobs), Quiet()).info.store_path
        whole = store.add_tree(self_contained_plan("whole", blobs), Quiet()).info.store_path
        store.add_root(source / "one.bin", [linked, whole])
    store.close()


def _collect(root: Path, source: Path) -> None:
    with EmbeddedStore(root) as store:
        store.collect_garbage(dry_run=False)


def _killed_at(number: int, action: Callable[[Path, Path], None], root: Path, source: Path) -> None:
    """Run ``action``, killed just before its ``number``-th call that changes the file system."""
    kill_this_process_at(number, _CALLS)
    action(root, source)


def _run_killed(number: int, action: Callable[[Path, Path], None], root: Path, source: Path) -> bool:
    process = run_beside(_killed_at, number, action, root, source)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _assert_whole(root: Path) -> None:
    """What is valid is on disk as recorded; to real Nix too, which makes what is not yet there of a store."""
    with EmbeddedStore(root) as store:
        for info in store.all_paths():
            assert store.check(info.store_path, Quiet()) == ()
    assert_sound(root)


def _assert_finished(root: Path) -> None:
    with EmbeddedStore(root) as store:
        names = {info.store_path.name for info in store.all_paths()}
        assert names == {"one.bin", "two.bin", "uno.bin", "linked", "whole"}
        assert len(store.roots()) == 2
    assert list((root / "nix" / "var" / "hf-pack" / "staging").iterdir()) == []
    assert_sound(root)


@pytest.mark.parametrize("first", (0, 3))
def test_killed_while_adding(tmp_path: Path, first: int) -> None:
    points = 0
    for number in count(first + 1, 6):
        root, source = tmp_path / f"root{number}", tmp_path / f"source{number}"
        if not _run_killed(number, _scenario, root, source):
            break
        points += 1
        if (root / "nix" / "var" / "nix" / "db" / "schema").exists():
            _assert_whole(root)
        _scenario(root, source)
        _assert_finished(root)
    assert points > 10


def test_killed_while_adding_then_collected(tmp_path: Path) -> None:
    for number in count(1, 9):
        root, source = tmp_path / f"root{number}", tmp_path / f"source{number}"
        if not _run_killed(number, _scenario, root, source):
            break
        with EmbeddedStore(root) as store:
            if not store.roots():
                store.collect_garbage(dry_run=False)
                assert store.all_paths() == ()
                if root.exists():
                    assert store_entries(root) == set()


def test_killed_while_collecting(tmp_path: Path) -> None:
    for number in count(1, 3):
        root, source = tmp_path / f"root{number}", tmp_path / f"source{number}"
        _scenario(root, source)
        (source / "one.bin").unlink()
        if not _run_killed(number, _collect, root, source):
            break
        _assert_whole(root)
        _collect(root, source)
        assert store_entries(root) == set()
        _scenario(root, source)
        _assert_finished(root)
    assert number > 10
