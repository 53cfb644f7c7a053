"""Which bytes of a file that arrives in parts are here, recorded beside it.

Each part fills from its start, so one number a part says it all. The record is a file of a fixed size: a header
(format, size of the file, size of a part) and for each part the number of bytes that are here, as an unsigned
32-bit little-endian number. A number is written after the bytes that it counts, so a killed process leaves no claim
that is not true. Power loss may leave one; that is found when the file is proved as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from struct import Struct

from hf_pack.disk.fan_out import MIB
from hf_pack.ports import ByteRange

_PART = 32 * MIB
_WHOLE = 64 * MIB  # a file up to this is one part

_HEADER = Struct("<16sQQ")
_NUMBER = Struct("<I")
_FORMAT = b"hf-pack parts 1\n"


class ReceivedParts:
    """The parts of a file of ``size`` bytes. Not thread-safe, but :meth:`record` is for different parts."""

    def __init__(self, record: int, size: int, here: Sequence[int]) -> None:
        self._record = record
        self._size = size
        self._part_size = _part_size(size)
        self._here = list(here)
        self._first = 0  # the first part that is not whole
        self._move_on()

    @classmethod
    def create(cls, path: Path, size: int) -> ReceivedParts:
        """A new record: nothing is here. Raises FileExistsError."""
        count = _count(size)
        record = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.pwrite(record, _HEADER.pack(_FORMAT, size, _part_size(size)) + bytes(_NUMBER.size * count), 0)
        return cls(record, size, [0] * count)

    @classmethod
    def open(cls, path: Path, size: int) -> ReceivedParts | None:
        """The record that is there; None when there is none of a file of this size."""
        try:
            record = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        contents = os.pread(record, _HEADER.size + _NUMBER.size * _count(size) + 1, 0)
        header, numbers = contents[: _HEADER.size], contents[_HEADER.size :]
        if header == _HEADER.pack(_FORMAT, size, _part_size(size)) and len(numbers) == _NUMBER.size * _count(size):
            here = [number for (number,) in _NUMBER.iter_unpack(numbers)]
            parts = cls(record, size, here)
            if all(number <= parts.part(index).size for index, number in enumerate(here)):
                return parts
        os.close(record)
        return None

    def close(self) -> None:
        """Close the record."""
        os.close(self._record)

    def __len__(self) -> int:
        return len(self._here)

    def index(self, offset: int) -> int:
        """The part that a byte of the file lies in."""
        return offset // self._part_size

    def part(self, index: int) -> ByteRange:
        """Where a part lies."""
        offset = index * self._part_size
        return ByteRange(offset, min(self._part_size, self._size - offset))

    def end(self, index: int) -> int:
        """The offset in the file of the first byte of the part that is not here."""
        return index * self._part_size + self._here[index]

    @property
    def front(self) -> int:
        """The bytes before this offset are all here."""
        return self.end(self._first) if self._first < len(self._here) else self._size

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        """What is not here, at most one range a part."""
        parts = ((self.part(index), here) for index, here in enumerate(self._here) if here < self.part(index).size)
        return tuple(ByteRange(part.offset + here, part.size - here) for part, here in parts)

    @property
    def received(self) -> int:
        """The number of bytes that are here."""
        return sum(self._here)

    def add(self, index: int, size: int) -> None:
        """``size`` more bytes of a part are here."""
        self._here[index] += size
        if index == self._first:
            self._move_on()

    def record(self, index: int) -> None:
        """Write down how much of a part is here."""
        os.pwrite(self._record, _NUMBER.pack(self._here[index]), _HEADER.size + _NUMBER.size * index)

    def _move_on(self) -> None:
        while self._first < len(self._here) and self._here[self._first] == self.part(self._first).size:
            self._first += 1


def _part_size(size: int) -> int:
    return _PART if size > _WHOLE else max(size, 1)


def _count(size: int) -> int:
    return -(-size // _part_size(size))
