from __future__ import annotations

import os
from pathlib import Path

import pytest

from hf_pack.disk.staging import dead_folders, remove_dead, remove_tree, staging_folder


def test_a_folder_lives_as_long_as_its_block(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staging_folder(tmp_path) as folder:
        (folder / "directory").mkdir()
        (folder / "directory" / "file").write_bytes(b"x")
        (folder / "directory").chmod(0o555)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_only_dead_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "1-dead").mkdir()
    (tmp_path / "1-dead" / "file").write_bytes(b"x" * 5000)
    (tmp_path / "1-dead.lock").touch()
    (tmp_path / "2-without-lock").mkdir()
    # Taken while the two above are there, and it removes them.
    with staging_folder(tmp_path) as mine:
        assert mine.is_dir()
        assert {path.name.removesuffix(".lock") for path in tmp_path.iterdir()} == {mine.name}
        (tmp_path / "3-dead").mkdir()
        assert dead_folders(tmp_path) == (tmp_path / "3-dead",)
        with staging_folder(tmp_path) as other:
            assert mine.is_dir() and other.is_dir() and mine != other
        assert remove_dead(tmp_path) == 0


def test_removing_tells_what_it_frees(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "closed").mkdir(parents=True)
    (top / "closed" / "file").write_bytes(b"x" * 10_000)
    (top / "closed" / "linked").write_bytes(b"y" * 1_000_000)
    (top / "link").symlink_to("/nowhere")
    os.link(top / "closed" / "linked", tmp_path / "stays")
    (top / "closed").chmod(0o500)
    blocks = sum(path.lstat().st_blocks for path in (top, top / "closed", top / "closed" / "file", top / "link"))
    assert remove_tree(top) == blocks * 512
    assert not top.exists()
    assert (tmp_path / "stays").read_bytes() == b"y" * 1_000_000
    assert remove_tree(top) == 0


def test_links_within_what_goes_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "one").write_bytes(b"x" * 1_000_000)
    os.link(tmp_path / "top" / "one", tmp_path / "top" / "two")
    blocks = (tmp_path / "top").stat().st_blocks + (tmp_path / "top" / "one").stat().st_blocks
    assert remove_tree(tmp_path / "top") == blocks * 512
