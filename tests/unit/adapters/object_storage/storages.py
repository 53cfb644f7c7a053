"""What the tests of object storage share: contents that count how they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hf_pack.errors import IntegrityError


class Contents:
    """A Readable of bytes in memory; with ``wrong``, its last chunk raises as that of a damaged object does."""

    def __init__(self, data: bytes, *, wrong: bool = False) -> None:
        self.data, self.wrong = data, wrong

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        for begin in range(offset, offset + size, 1 << 20):
            end = min(begin + (1 << 20), offset + size)
            if self.wrong and end == self.size:
                raise IntegrityError("the object is damaged")
            yield self.data[begin:end]


def filler(mib: int, seed: str = "a") -> bytes:
    """Bytes that look random."""
    return hashlib.shake_128(seed.encode()).digest((mib << 20) + 7)
