from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from hf_pack.disk.clone import clone


def _try(tmp_path: Path) -> tuple[bool, bytes]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"contents")
    with source.open("rb") as reader, target.open("xb") as writer:
        cloned = clone(reader.fileno(), writer.fileno())
    return cloned, target.read_bytes()


def test_a_clone_has_the_bytes_or_nothing(tmp_path: Path) -> None:
    """Whatever the file system of the tests can."""
    assert _try(tmp_path) in ((True, b"contents"), (False, b""))


def test_the_request_names_the_target_and_then_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def share(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.write(target, os.pread(source, 100, 0))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", share)
    assert _try(tmp_path) == (True, b"contents")


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL])
def test_a_refusal_leaves_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(target: int, _request: int, _source: int) -> int:
        os.write(target, b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    assert _try(tmp_path) == (False, b"")
