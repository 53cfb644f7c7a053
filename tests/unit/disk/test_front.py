"""Whatever comes at the front, or was on disk before it, is hashed once and in the file at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from hf_pack.disk import front
from hf_pack.disk.front import Front
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash

CONTENTS = bytes(range(251)) * 5


@contextmanager
def opened(path: Path, size: int, on_disk: list[int] | None = None) -> Iterator[tuple[int, Front]]:
    with path.open("w+b") as file:
        file.truncate(size)
        arriving = Front(path, file.fileno(), size, ([] if on_disk is None else on_disk).append)
        try:
            yield file.fileno(), arriving
        finally:
            arriving.stop()


def check(arriving: Front, contents: bytes) -> None:
    found = arriving.result()
    assert found.sha256 == Hash.sha256_of(contents)
    assert found.nar_hash == nar.hash_and_size(nar.NarFile(contents))[0]
    assert found.size == len(contents)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1050])
def test_the_digests_are_those_of_what_lay_before_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(front, "_CHUNK", 100)
    with opened(tmp_path / "data", size) as (descriptor, arriving):
        for end in [*range(0, size, 70), size]:
            os.pwrite(descriptor, CONTENTS[:end], 0)
            arriving.advance(end)
            arriving.advance(end // 2)  # what is late does no harm
        check(arriving, CONTENTS[:size])


@pytest.mark.parametrize("size", [1, 99, 100, 101, 1050])
def test_what_is_taken_is_hashed_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(front, "_CHUNK", 100)
    on_disk: list[int] = []
    with opened(tmp_path / "data", size, on_disk) as (_, arriving):
        offset = 0
        while offset < size:
            offset += arriving.take(offset, memoryview(CONTENTS)[offset : min(size, offset + 70)])
        check(arriving, CONTENTS[:size])
    assert on_disk == [*range(100, size, 100), size]
    assert (tmp_path / "data").read_bytes() == CONTENTS[:size]


@pytest.mark.parametrize("seed", range(20))
def test_taken_and_read_back_in_any_mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(front, "_CHUNK", 64)
    monkeypatch.setattr(front, "_LAG", 256)
    random = Random(seed)
    data = random.randbytes(5000)
    with opened(tmp_path / "data", len(data)) as (descriptor, arriving):
        offset = 0
        while offset < len(data):
            piece = memoryview(data)[offset : offset + random.randint(1, 300)]
            taken = arriving.take(offset, piece) if random.random() < 0.7 else 0
            if not taken:
                taken = os.pwrite(descriptor, piece, offset)
            offset += taken
            arriving.advance(offset)
        check(arriving, data)
    assert (tmp_path / "data").read_bytes() == data


def test_what_was_taken_is_written_when_it_stops_in_the_middle(tmp_path: Path) -> None:
    on_disk: list[int] = []
    with opened(tmp_path / "data", 10_000, on_disk) as (_, arriving):
        assert arriving.take(0, memoryview(CONTENTS)) == len(CONTENTS)
    assert on_disk == [len(CONTENTS)]
    assert (tmp_path / "data").read_bytes() == CONTENTS.ljust(10_000, b"\0")


def test_the_threads_end_wherever_they_are(tmp_path: Path) -> None:
    threads = threading.active_count()
    with opened(tmp_path / "data", 10 << 20) as (_, arriving):
        arriving.advance(3 << 20)
        arriving.stop()
    assert threading.active_count() == threads


def test_a_file_that_gets_shorter_is_an_error(tmp_path: Path) -> None:
    with opened(tmp_path / "data", 1000) as (descriptor, arriving):
        os.ftruncate(descriptor, 10)
        arriving.advance(1000)
        with pytest.raises(OSError, match="shorter"):
            arriving.result()


def test_a_disk_that_is_full_is_told_to_who_brings_the_next_bytes() -> None:
    with Path("/dev/full").open("r+b") as file:
        arriving = Front(Path("/dev/full"), file.fileno(), 10 << 20, lambda _end: None)
        offset = 0
        with pytest.raises(OSError, match="No space left"):
            while offset < 10 << 20:
                offset += arriving.take(offset, memoryview(bytes(1 << 20)))
        arriving.stop()
