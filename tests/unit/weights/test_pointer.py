from __future__ import annotations

import pytest

from hf_pack.weights.pointer import LfsPointer, parse_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"  # git-lfs docs/spec.md's own example
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n".encode()


@pytest.mark.parametrize(
    "data",
    [
        POINTER,
        POINTER.replace(b"\n", b"\r\n"),
        POINTER.replace(b"git-lfs.github", b"hawser.github"),
        POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid"),
        POINTER.rstrip(b"\n"),
    ],
)
def test_reads_pointers(data: bytes) -> None:
    assert parse_pointer(data) == LfsPointer(sha256=OID, size=12345)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        POINTER[1:],
        POINTER.replace(b"oid", b"old"),
        POINTER.replace(b"size", b"sise"),
        POINTER.replace(b"4d7a", b"4D7A"),
        POINTER.replace(b"12345", b"-1"),
        POINTER + b" " * 1024,
    ],
)
def test_ordinary_content_is_none(data: bytes) -> None:
    assert parse_pointer(data) is None
