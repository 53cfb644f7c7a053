"""The NAR of an object on disk, read from any place without ever being stored."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from hf_pack.disk.object_hash import FileOnDisk, node_of, open_regular
from hf_pack.formats import nar

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """``size`` bytes of a file from ``offset``."""

    path: Path
    offset: int
    size: int


class NarOnDisk:
    """Implements :class:`hf_pack.ports.Readable`. A flat file's NAR is 96 bytes, the file and a short trailer.

    Only names and sizes are read until the bytes are wanted. Raises OSError and FormatError as
    :func:`hf_pack.disk.object_hash.hash_tree` does.
    """

    def __init__(self, path: Path) -> None:
        sections: list[bytes | FileOnDisk] = []
        plain: list[bytes] = []
        for section in nar.sections(node_of(path)):
            if isinstance(section, bytes):
                plain.append(section)
            elif isinstance(section, FileOnDisk):
                sections += [b"".join(plain), section]
                plain = []
        self._sections = (*sections, b"".join(plain))
        sizes = (len(section) if isinstance(section, bytes) else section.size for section in self._sections)
        self._ends = tuple(accumulate(sizes))

    @property
    def size(self) -> int:
        """In bytes."""
        return self._ends[-1]

    def parts(self, offset: int, size: int) -> Iterator[bytes | FilePart]:
        """``size`` bytes from ``offset``, what is not of a file in memory."""
        end = min(offset + size, self.size)
        at = bisect_right(self._ends, offset)
        while offset < end:
            section = self._sections[at]
            stop = min(self._ends[at], end)
            length = len(section) if isinstance(section, bytes) else section.size
            inside = offset - (self._ends[at] - length)
            if stop > offset:
                if isinstance(section, bytes):
                    yield section[inside : inside + stop - offset]
                else:
                    yield FilePart(path=section.path, offset=inside, size=stop - offset)
            offset, at = stop, at + 1

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.Readable`. Raises OSError also for a file that got shorter."""
        for part in self.parts(offset, size):
            if isinstance(part, bytes):
                yield part
            else:
                yield from _read(part)


def _read(part: FilePart) -> Iterator[bytes]:
    fd = open_regular(part.path, follow=False)
    try:
        done = 0
        while done < part.size:
            chunk = os.pread(fd, min(_CHUNK, part.size - done), part.offset + done)
            if not chunk:
                raise OSError(errno.EIO, "the file got shorter while it was read", str(part.path))
            yield chunk
            done += len(chunk)
    finally:
        os.close(fd)
