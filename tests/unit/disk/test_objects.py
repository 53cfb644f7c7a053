from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hf_pack.disk import objects
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo


def _info(nar_size: int) -> PathInfo:
    return PathInfo(store_path=StorePath("0" * 32, "x"), nar_hash=Hash.sha256_of(b""), nar_size=nar_size)


def test_a_file_is_whole_when_its_length_is_right(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert not objects.is_whole(file, _info(nar.file_size(10)))
    file.write_bytes(b"x" * 10)
    assert objects.is_whole(file, _info(nar.file_size(10)))
    assert objects.is_whole(file, _info(nar.size(nar.NarFile(b"x" * 10, executable=True))))
    assert not objects.is_whole(file, _info(nar.file_size(20)))
    assert objects.is_whole(tmp_path, _info(123))


@pytest.mark.parametrize(
    ("code", "raised"), [(errno.EMLINK, False), (errno.EXDEV, False), (errno.EPERM, False), (errno.ENOSPC, True)]
)
def test_what_a_link_may_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raised: bool) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    if raised:
        with pytest.raises(OSError, match="space"):
            objects.link(tmp_path / "a", tmp_path / "b")
    else:
        assert objects.link(tmp_path / "a", tmp_path / "b") is False


def test_a_directory_moves_in_and_becomes_read_only(tmp_path: Path) -> None:
    (tmp_path / "staging" / "tree").mkdir(parents=True)
    os.utime(tmp_path / "staging" / "tree", (1, 1))
    objects.move_in(tmp_path / "staging" / "tree", tmp_path / "tree")
    status = (tmp_path / "tree").stat()
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o555, 1)


@pytest.mark.parametrize("kind", ["missing", "file", "directory"])
def test_anything_is_replaced(tmp_path: Path, kind: str) -> None:
    place, staged = tmp_path / "place", tmp_path / "staged"
    if kind == "file":
        place.write_bytes(b"old")
    elif kind == "directory":
        (place / "below").mkdir(parents=True)
        place.chmod(0o555)
    staged.write_bytes(b"new")
    objects.replace(staged, place, aside=tmp_path / "aside")
    assert place.read_bytes() == b"new"
    assert {path.name for path in tmp_path.iterdir()} == {"place"}
