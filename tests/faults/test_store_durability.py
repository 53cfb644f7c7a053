"""The order on disk that keeps what is valid whole after power loss: bytes, then the rename, its directory, the record.

A kill does not show it, since the kernel keeps what a process wrote. So the calls themselves are watched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import Quiet, add_bytes, linked_plan, self_contained_plan, source_file

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob
from hf_pack.ports import FileToAdd

CONTENTS = bytes(range(256)) * 400
BLOB = Blob(name="w.bin", sha256=Hash.sha256_of(CONTENTS), size=len(CONTENTS))


class Calls:
    """What happened, in order: ``write`` and ``fsync`` of an inode, ``rename`` and ``symlink`` to a path, ``commit`` of
    the database.

    At a rename, ``moved`` gets the inodes of the files and directories that it moved.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, object]] = []
        self.moved: dict[str, list[int]] = {}
        for name in ("write", "pwrite"):
            self._watch(patch, name, lambda fd, *_: ("write", os.fstat(fd).st_ino))
        self._watch(patch, "fsync", lambda fd: ("fsync", os.fstat(fd).st_ino))
        self._watch(patch, "rename", self._rename)
        self._watch(patch, "symlink", lambda _target, link, *_: ("symlink", str(link)))

    def watch_database(self, store: EmbeddedStore) -> None:
        with store._database.writing() as connection:
            connection.set_trace_callback(lambda sql: self.events.append((sql, None)) if sql == "commit" else None)

    def last(self, *event: object) -> int:
        """When it happened last, -1: never."""
        return max((number for number, found in enumerate(self.events) if found == event), default=-1)

    def _watch(self, patch: pytest.MonkeyPatch, name: str, event: Callable[..., tuple[str, object]]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **named: Any) -> Any:
            found = event(*arguments)
            result = real(*arguments, **named)
            self.events.append(found)
            return result

        patch.setattr(os, name, call)

    def _rename(self, source: object, target: object) -> tuple[str, object]:
        inside = [Path(str(source)), *Path(str(source)).rglob("*")]
        self.moved[str(target)] = [path.lstat().st_ino for path in inside if not path.is_symlink()]
        return "rename", str(target)


def _add(store: EmbeddedStore, folder: Path) -> StorePath:
    return add_bytes(store, folder, "w.bin", CONTENTS).blob.store_path


def _add_under_another_name(store: EmbeddedStore, folder: Path) -> StorePath:
    _add(store, folder)
    file = FileToAdd(name="other.bin", real_path=folder / "gone", expected=BLOB.sha256)
    return store.add_blobs([file], Quiet())[0].blob.store_path


def _receive(store: EmbeddedStore, _folder: Path) -> StorePath:
    with store.receive(BLOB) as reception:
        assert reception is not None
        reception.write(0, CONTENTS)
        reception.finish()
    return BLOB.store_path


def _add_linked_tree(store: EmbeddedStore, folder: Path) -> StorePath:
    return store.add_tree(
        linked_plan("tree", [add_bytes(store, folder, "w.bin", CONTENTS).blob]), Quiet()
    ).info.store_path


def _add_self_contained_tree(store: EmbeddedStore, folder: Path) -> StorePath:
    plan = self_contained_plan("tree", [add_bytes(store, folder, "w.bin", CONTENTS).blob])
    return store.add_tree(plan, Quiet()).info.store_path


def _replace_blob(store: EmbeddedStore, folder: Path) -> StorePath:
    store.replace_blob(source_file(folder, "w.bin", CONTENTS), BLOB, Quiet())
    return BLOB.store_path


@pytest.mark.parametrize(
    "make", [_add, _add_under_another_name, _receive, _add_linked_tree, _add_self_contained_tree, _replace_blob]
)
def test_bytes_then_the_rename_then_its_directory_then_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[EmbeddedStore, Path], StorePath]
) -> None:
    with EmbeddedStore(tmp_path / "root") as store:
        calls = Calls(monkeypatch)
        calls.watch_database(store)
        real_path = store.real_path(make(store, tmp_path / "source"))
        monkeypatch.undo()
    renamed = calls.last("rename", str(real_path))
    assert renamed >= 0
    for inode in calls.moved[str(real_path)]:
        synced = [number for number, event in enumerate(calls.events) if event == ("fsync", inode)]
        assert any(calls.last("write", inode) < number < renamed for number in synced), "moved before it was on disk"
    directory = calls.last("fsync", real_path.parent.stat().st_ino)
    assert renamed < directory < calls.last("commit", None), "recorded before its name was on disk"
    if stat.S_ISDIR(real_path.stat().st_mode):  # its mode changes when it is in its place
        assert renamed < calls.last("fsync", real_path.stat().st_ino) < directory
    assert [event for event, _ in calls.events[directory:]].count("commit") == 1


def test_a_root_is_on_disk_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = tmp_path / "x.lock"
    owner.touch()
    with EmbeddedStore(tmp_path / "root") as store:
        path = _add(store, tmp_path / "source")
        calls = Calls(monkeypatch)
        store.add_root(owner, [path])
        monkeypatch.undo()
    ours = tmp_path / "root" / "nix" / "var" / "nix" / "gcroots" / "hf-pack"
    (folder,) = (found for found in ours.iterdir() if found.is_dir())
    made = calls.last("symlink", str(folder / path.base_name))
    for directory in (folder, ours):
        assert 0 <= made < calls.last("fsync", directory.stat().st_ino)


def test_the_database_waits_for_the_disk(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "root") as store:
        store.add_blobs([], Quiet())
        with store._database.writing() as connection:
            assert connection.execute("pragma synchronous").fetchone() == (2,)  # full: also the log of each commit
