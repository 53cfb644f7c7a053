"""A file of known size that arrives in parts, survives a kill, and is hashed meanwhile.

Each byte is written once: what is sent twice is passed over the second time. So what was hashed is what is on disk.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from hf_pack.disk import objects
from hf_pack.disk.fan_out import MIB
from hf_pack.disk.front_hash import FrontHash
from hf_pack.disk.object_hash import FlatHash
from hf_pack.disk.received_parts import ReceivedParts
from hf_pack.disk.write_back import WriteBack
from hf_pack.ports import ByteRange

_CHUNK = MIB  # so that the digests need not wait for the end of a long write


class PartialFile:
    """``folder/data`` of ``size`` bytes and ``folder/parts``, as an earlier process left them, or new. Thread-safe."""

    def __init__(self, folder: Path, size: int) -> None:
        self.path = folder / "data"
        self._size = size
        self._fd, self._parts = _open(self.path, folder / "parts", size)
        self._turn = Lock()  # around the parts
        self._part_turns = [Lock() for _ in range(len(self._parts))]  # around the bytes of one part
        self._closed = False
        self._written = 0
        self._write_back = WriteBack(self._fd)
        self._hash = FrontHash(self._fd, size)
        self._hash.advance(self._parts.front)

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        """What is not here yet, in order, at most one range a part."""
        with self._turn:
            return self._parts.missing

    @property
    def received(self) -> int:
        """The number of bytes that are here."""
        with self._turn:
            return self._parts.received

    @property
    def written(self) -> int:
        """The number of bytes written since this object was made."""
        return self._written

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Bytes from ``offset`` on; they join those that are here of their part, or overlap them.

        Raises ValueError for a gap, for bytes beyond the end, and when the file was closed; OSError.
        """
        rest = memoryview(data).cast("B")
        if not 0 <= offset <= self._size - len(rest):
            raise ValueError(f"{len(rest)} bytes at {offset} do not lie in a file of {self._size} bytes")
        while rest:
            index = self._parts.index(offset)
            part = self._parts.part(index)
            length = min(len(rest), part.offset + part.size - offset)
            with self._part_turns[index]:
                self._write_part(index, offset, rest[:length])
            offset, rest = offset + length, rest[length:]

    def digest(self) -> FlatHash:
        """Wait for the digests of the file, of which nothing is missing. Raises OSError."""
        return self._hash.result()

    def settle(self) -> None:
        """Make the file canonical, and wait until it is on disk. Raises OSError."""
        os.fchmod(self._fd, objects.FILE_MODE)
        os.utime(self._fd, (objects.MTIME, objects.MTIME))
        self._write_back.finish()

    def close(self) -> None:
        """Leave the file as it is; writes that run are waited for, later ones refused."""
        with ExitStack() as writers:
            for turn in self._part_turns:
                writers.enter_context(turn)
            if self._closed:
                return
            self._closed = True
        self._hash.stop()
        self._write_back.stop()
        self._parts.close()
        os.close(self._fd)

    def _write_part(self, index: int, offset: int, data: memoryview) -> None:
        if self._closed:
            raise ValueError("the file is not being received any more")
        end = self._parts.end(index)
        if offset > end:
            raise ValueError(f"bytes at {offset} leave a gap: those from {end} on are not here")
        data = data[end - offset :]
        while data:
            length = os.pwrite(self._fd, data[:_CHUNK], end)
            end, data = end + length, data[length:]
            with self._turn:
                self._parts.add(index, length)
                self._written += length
                front, written = self._parts.front, self._written
            self._parts.record(index)
            self._hash.advance(front)
            self._write_back.wrote(written)


def _open(path: Path, record: Path, size: int) -> tuple[int, ReceivedParts]:
    parts = ReceivedParts.open(record, size)
    if parts is not None:
        # A file that is all here may be read-only, and a link of one in the store: it is not written any more.
        access = os.O_RDWR if parts.missing else os.O_RDONLY
        try:
            fd = os.open(path, access | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        else:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode) and status.st_size == size:
                return fd, parts
            os.close(fd)
        parts.close()
    # The record goes first and comes last: it never speaks of another file than the one that is there.
    record.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, size)
        return fd, ReceivedParts.create(record, size)
    except BaseException:
        os.close(fd)
        raise
