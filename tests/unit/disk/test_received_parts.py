from __future__ import annotations

import os
from pathlib import Path

import pytest

from hf_pack.disk import received_parts
from hf_pack.disk.received_parts import ReceivedParts
from hf_pack.ports import ByteRange

MIB = 1 << 20


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_parts, "_PART", 10)
    monkeypatch.setattr(received_parts, "_WHOLE", 10)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, []),
        (1, [(0, 1)]),
        (64 * MIB, [(0, 64 * MIB)]),
        (64 * MIB + 1, [(0, 32 * MIB), (32 * MIB, 32 * MIB), (64 * MIB, 1)]),
    ],
)
def test_a_file_is_one_part_or_parts_of_32_mib(tmp_path: Path, size: int, parts: list[tuple[int, int]]) -> None:
    here = ReceivedParts.create(tmp_path / "parts", size)
    assert here.missing == tuple(ByteRange(*part) for part in parts)
    assert len(here) == len(parts)
    assert here.front == 0
    here.close()


@pytest.mark.usefixtures("small_parts")
def test_the_front_passes_parts_that_came_before_it(tmp_path: Path) -> None:
    here = ReceivedParts.create(tmp_path / "parts", 35)
    fronts = []
    for index, size in [(1, 10), (0, 4), (3, 5), (0, 6), (2, 9), (2, 1)]:
        here.add(index, size)
        fronts.append(here.front)
    assert fronts == [0, 4, 4, 20, 29, 35]
    assert here.missing == ()
    here.close()


@pytest.mark.usefixtures("small_parts")
def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "parts"
    here = ReceivedParts.create(path, 35)
    for index, size in [(0, 10), (2, 3), (3, 5)]:
        here.add(index, size)
        here.record(index)
    here.add(1, 5)  # here, and not recorded
    here.close()
    again = ReceivedParts.open(path, 35)
    assert again is not None
    assert again.missing == (ByteRange(10, 10), ByteRange(23, 7))
    assert (again.front, again.received) == (10, 18)
    again.close()


@pytest.mark.usefixtures("small_parts")
def test_a_record_of_anything_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "parts"
    ReceivedParts.create(path, 35).close()
    good = path.read_bytes()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    assert ReceivedParts.open(tmp_path / "nothing", 35) is None
    assert ReceivedParts.open(path, 34) is None
    for bad in (b"", good[:-1], good + b"\0", b"?" + good[1:], good[:-4] + b"\6\0\0\0"):  # the last part has 5 bytes
        path.write_bytes(bad)
        assert ReceivedParts.open(path, 35) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_a_new_record_replaces_none(tmp_path: Path) -> None:
    ReceivedParts.create(tmp_path / "parts", 1).close()
    with pytest.raises(FileExistsError):
        ReceivedParts.create(tmp_path / "parts", 1)
