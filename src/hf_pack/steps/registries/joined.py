"""Pieces of a file, in memory and elsewhere, as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hf_pack.model.lock import Blob
from hf_pack.ports import Readable


@dataclass(frozen=True)
class Joined:
    """Implements :class:`hf_pack.ports.Readable`: pieces one after the other."""

    pieces: tuple[bytes | Readable, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(size_of(piece) for piece in self.pieces)

    def chunks(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        """See :class:`hf_pack.ports.Readable`."""
        for piece in self.pieces:
            length = size_of(piece)
            if offset < length and size > 0:
                count = min(size, length - offset)
                if isinstance(piece, bytes):
                    yield piece[offset : offset + count]
                else:
                    yield from piece.chunks(offset, count)
                offset, size = offset + count, size - count
            offset -= length


def size_of(piece: bytes | Readable | Blob) -> int:
    """In bytes."""
    return len(piece) if isinstance(piece, bytes) else piece.size
