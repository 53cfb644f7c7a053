"""Files written past the page cache hold the bytes that were given, whatever their lengths and places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.adapters.embedded.test_engine import contents

from hf_pack.disk.direct_writer import BLOCK, Appending, DirectWriter
from hf_pack.disk.fan_out import MIB


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_where_direct_writes_are_refused_the_page_cache_serves(tmp_path: Path) -> None:
    data = contents(3 * BLOCK + 7)
    with opened(tmp_path / "target") as descriptor:
        writer = DirectWriter(descriptor)
        # Memory that is not aligned is what a file system refuses with EINVAL (tmpfs and others accept it).
        writer(memoryview(b"?" + data)[1 : 1 + 2 * BLOCK])
        writer(memoryview(data)[2 * BLOCK :])
    assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize("start", [0, 1, BLOCK, BLOCK + 96, 5 * MIB - 3])
@pytest.mark.parametrize("length", [MIB // 3, MIB, 3 * MIB + 5])
def test_chunks_of_any_length_from_any_place_on(tmp_path: Path, start: int, length: int) -> None:
    before, data = contents(start), contents(11 * MIB + 13)
    (tmp_path / "target").write_bytes(before)
    with opened(tmp_path / "target") as descriptor:
        appending = Appending(descriptor, start)
        chunk = bytearray(length)
        for offset in range(0, len(data), length):
            piece = data[offset : offset + length]
            chunk[: len(piece)] = piece
            appending.write(memoryview(chunk)[: len(piece)])
            chunk[: len(piece)] = bytes(len(piece))  # whoever gave it may use it again
        appending.finish()
    assert (tmp_path / "target").read_bytes() == before + data


def test_a_full_disk_is_told_by_the_call_that_meets_it_or_at_the_end() -> None:
    with opened(Path("/dev/full")) as descriptor:
        small = Appending(descriptor, 0)
        small.write(b"few")
        with pytest.raises(OSError, match="No space left"):
            small.finish()
        large = Appending(descriptor, 0)
        with pytest.raises(OSError, match="No space left"):
            for _ in range(20):
                large.write(bytes(MIB))
        with pytest.raises(OSError, match="No space left"):
            large.finish()
