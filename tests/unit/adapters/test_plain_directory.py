"""Packages as plain directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests import sample_package

from hf_pack.adapters.plain_directory import write_directory
from hf_pack.disk import clone
from hf_pack.errors import StoreError, UsageError
from hf_pack.model.manifest import Layout, Storage


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return sample_package.write_store(sample_package.plan(), tmp_path / "store")


def _contents(directory: Path) -> dict[str, bytes]:
    """Path to bytes, of links to their target's name."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_symlink():
            found[path.relative_to(directory).as_posix()] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[path.relative_to(directory).as_posix()] = path.read_bytes()
    return found


def test_a_linked_tree_becomes_the_self_contained_one(tree: Path, tmp_path: Path) -> None:
    solid = sample_package.write_store(
        sample_package.plan(Layout.DUAL, Storage.SELF_CONTAINED), tmp_path / "another store"
    )
    written = write_directory(tree, tmp_path / "out" / "model")
    found = _contents(tmp_path / "out" / "model")
    assert found == _contents(solid)
    assert found["share/models/tiny_1_5/weights"].startswith(b"-> ../hub/")
    assert written.files == sum(not contents.startswith(b"-> ") for contents in found.values())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model"]


def test_files_are_links_to_the_store_only_when_asked_for(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inodes(directory: Path) -> set[int]:
        return {path.stat().st_ino for path in directory.rglob("*") if path.is_file()}

    store = {path.stat().st_ino for path in (tmp_path / "store").rglob("*")}
    own = write_directory(tree, tmp_path / "own")
    assert own.shared + own.copied > 8000
    assert not inodes(tmp_path / "own") & store
    linked = write_directory(tree, tmp_path / "linked", hard_links=True)
    assert (linked.shared, linked.copied) == (own.shared + own.copied, 0)
    assert inodes(tmp_path / "linked") <= store

    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(clone, "_FICLONE", 0)  # no such request: a file system without clones
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    copied = write_directory(tree, tmp_path / "copied", hard_links=True)
    assert (copied.shared, copied.copied) == (0, linked.shared)
    assert _contents(tmp_path / "copied") == _contents(tmp_path / "linked")


def test_a_directory_that_is_there_is_left_alone(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_directory(tree, tmp_path / "out")  # empty: it is taken
    with pytest.raises(UsageError, match="there already"):
        write_directory(tree, tmp_path / "out")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(UsageError, match="there already"):
        write_directory(tree, tmp_path / "dangling")


def test_it_is_there_whole_or_not_at_all(tree: Path, tmp_path: Path) -> None:
    lost = next(path for path in (tmp_path / "store").iterdir() if path.is_file())
    lost.unlink()
    with pytest.raises(StoreError, match="cannot be written as a directory"):
        write_directory(tree, tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_export_left_is_replaced(tree: Path, tmp_path: Path) -> None:
    left = tmp_path / ".model.new.hf-pack-tmp"
    left.mkdir()
    (left / "half").write_bytes(b"x")
    write_directory(tree, tmp_path / "model")
    assert not left.exists() and "half" not in _contents(tmp_path / "model")
