"""Stores that this user does not own or that nobody can write: read all the same, and refused clearly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.embedded_stores import (
    NEEDS_NIX,
    NEEDS_ROOT,
    Quiet,
    add_bytes,
    assert_sound,
    linked_plan,
    run_beside,
    self_contained_plan,
    snapshot,
    source_file,
)

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import StoreError

pytestmark = NEEDS_ROOT

_NOBODY = 65534


def _fill(root: Path, source: Path) -> None:
    with EmbeddedStore(root) as store, store.session():
        blob = add_bytes(store, source, "w.bin", b"w" * 5000).blob
        trees = [
            store.add_tree(plan, Quiet()).info.store_path
            for plan in (linked_plan("linked", [blob]), self_contained_plan("whole", [blob]))
        ]
        store.add_root(source / "w.bin", trees)


def _use_unwritable(root: Path, source: Path) -> None:
    """All that reads works; all that writes is a StoreError with a hint."""
    store = EmbeddedStore(root)
    infos = store.all_paths()
    assert sorted(info.store_path.name for info in infos) == ["linked", "w.bin", "whole"]
    for info in infos:
        assert store.path_info(info.store_path) == info
        assert store.check(info.store_path, Quiet()) == ()
        assert store.real_path(info.store_path).exists()
    paths = [info.store_path for info in infos]
    with store.session():
        assert store.keep(paths) == frozenset(paths)
    assert {root.store_path.name for root in store.roots()} == {"linked", "whole"}
    assert store.collect_garbage(dry_run=True).kept == 3
    for action in (
        lambda: store.add_blobs([source_file(source, "new.bin", b"new")], Quiet()),
        lambda: store.add_root(source / "new.bin", paths),
        lambda: store.collect_garbage(dry_run=False),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert "--store" in caught.value.hint, caught.value


def _as_nobody(action: str, root: Path, source: Path) -> None:
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)
    {"use": _use_unwritable, "fill": _fill}[action](root, source)


def _run_as_nobody(action: str, root: Path, source: Path) -> None:
    process = run_beside(_as_nobody, action, root, source)
    process.join()
    assert process.exitcode == 0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that every user can reach and write, and so are those above it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o777)
    return tmp_path


def test_another_users_store(place: Path) -> None:
    _fill(place / "root", place / "src")
    before = snapshot(place / "root")
    _run_as_nobody("use", place / "root", place / "theirs")
    assert snapshot(place / "root") == before


def test_another_users_store_while_it_is_open(place: Path) -> None:
    _fill(place / "root", place / "src")
    with EmbeddedStore(place / "root") as store:
        added = add_bytes(store, place / "src", "late.bin", b"late").blob
        assert store.collect_garbage(dry_run=False).deleted == (added.store_path,)
        # These changes are in SQLite's log only.
        _run_as_nobody("use", place / "root", place / "theirs")


@NEEDS_NIX[0]
@NEEDS_NIX[1]
def test_a_store_of_an_unprivileged_user(place: Path) -> None:
    _run_as_nobody("fill", place / "theirs" / "root", place / "theirs" / "src")
    assert (place / "theirs" / "root").stat().st_uid == _NOBODY
    assert_sound(place / "theirs" / "root")


_READ_ONLY = """
import os, pathlib, subprocess, sys
from tests.faults.test_store_permissions import _use_unwritable
root, source = map(pathlib.Path, sys.argv[1:])
subprocess.run(["mount", "--bind", root, root], check=True)
subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
_use_unwritable(root, source)
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_read_only_file_system(place: Path, killed: bool) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("cannot make a mount namespace")
    if killed:
        # Leaves SQLite's log with everything in it.
        process = run_beside(_fill_and_die, place / "root", place / "src")
        process.join()
        assert (place / "root" / "nix" / "var" / "nix" / "db" / "db.sqlite-wal").stat().st_size > 0
        (place / "root" / "nix" / "var" / "nix" / "db" / "db.sqlite-shm").unlink()
    else:
        _fill(place / "root", place / "src")
    subprocess.run(
        ["unshare", "-m", sys.executable, "-c", _READ_ONLY, str(place / "root"), str(place / "theirs")], check=True
    )


def _fill_and_die(root: Path, source: Path) -> None:
    keep_open = EmbeddedStore(root)
    add_bytes(keep_open, source, "w.bin", b"w" * 5000)
    _fill(root, source)
    os._exit(0)
