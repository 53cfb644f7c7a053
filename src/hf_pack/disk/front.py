"""The front of a file that arrives: the bytes before it are all here, hashed, and on their way to disk.

What comes exactly at the front is taken from memory: both digests see it, each in a thread of its own, and it is
written past the page cache. What came out of order, or in an earlier process, is on disk already and read back.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Event, Thread

from hf_pack.disk.direct_writer import DirectWriter
from hf_pack.disk.fan_out import MIB, Cancelled, fan_out, new_buffers
from hf_pack.disk.object_hash import FlatHash, FlatHasher

_CHUNK = MIB // 2  # stays in a core's cache between the copy and the digests; a part is many whole ones
_BUFFERS = 4
_LAG = 4 * _CHUNK  # bytes that the digests may be behind whoever has the next ones, who waits then


class Front:
    """The digests of the file of ``size`` bytes at ``path``, open behind ``fd`` until :meth:`stop`.

    ``on_disk`` is told offsets before which what was taken is written, from a thread of its own.
    """

    def __init__(self, path: Path, fd: int, size: int, on_disk: Callable[[int], None]) -> None:
        self._path = path
        self._fd = fd
        self._size = size
        self._on_disk = on_disk
        self._here = 0  # the bytes before are on disk, or were taken
        self._position = 0  # the bytes before are in a buffer or were
        self._buffer: memoryview | None = None  # that is being filled, from ``_begin`` on
        self._begin = 0
        self._taken = False  # whether bytes in it are on no disk yet
        self._writes: deque[bool] = deque()  # whether a full buffer must be written
        self._target: int | None = None
        self._writer: DirectWriter | None = None
        self._written = 0  # where the writer is
        self._stop = Event()
        self._ended = False
        self._error: BaseException | None = None
        self._changed = Condition()
        self._hasher = FlatHasher(size)
        self._thread = Thread(target=self._run, name="hf-pack front", daemon=True)
        self._thread.start()

    def advance(self, here: int) -> None:
        """The bytes before ``here`` are in the file, or were taken, and will not change. Does not wait."""
        # Most often nobody waits for so little; what another thread just told only makes that rarer.
        if here // _CHUNK > self._here // _CHUNK or here == self._size:
            with self._changed:
                self._here = max(self._here, here)
                self._changed.notify_all()

    def take(self, offset: int, data: memoryview) -> int:
        """The bytes at the front, which begin at ``offset``; returns how many were taken.

        None are when the digests are far behind: then the caller writes them, and tells it with :meth:`advance`. Waits
        where they are a little behind. Raises the OSError of earlier bytes.
        """
        with self._changed:
            self._here = max(self._here, offset)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: (
                    self._ended
                    or offset - self._position > _LAG
                    or (self._buffer is not None and self._position == offset)
                )
            )
            if self._error is not None:
                raise self._error
            if self._buffer is None or self._position != offset:
                return 0
            at = offset - self._begin
            length = min(len(data), len(self._buffer) - at)
            self._buffer[at : at + length] = data[:length]
            self._taken = True
            self._position += length
            if at + length == len(self._buffer):
                self._buffer = None
                self._changed.notify_all()
            return length

    def result(self) -> FlatHash:
        """Wait until all is hashed and written; the front has come to the end. Raises OSError."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._hasher.result()

    def stop(self) -> None:
        """End the threads, wherever they are; what was taken is written."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        buffers = new_buffers(_BUFFERS, max(1, min(_CHUNK, self._size)))
        error: BaseException | None = None
        try:
            sinks = (*self._hasher.sinks, self._write)
            fan_out(self._fill, self._size, sinks, buffers=buffers, progress=lambda _size: None, stop=self._stop)
        except BaseException as problem:  # noqa: BLE001 - raised again by result()
            error = problem
        try:
            if isinstance(error, Cancelled) and self._buffer is not None:
                self._writes.append(self._taken)
                self._write(self._buffer[: self._position - self._begin])
        except OSError as problem:
            error = problem
        if self._target is not None:
            os.close(self._target)
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify_all()

    def _fill(self, buffer: memoryview) -> int:
        """Have the next buffer filled by :meth:`take`, or from disk."""
        end = self._position + len(buffer)
        with self._changed:
            self._buffer, self._begin, self._taken = buffer, self._position, False
            self._changed.notify_all()
        while self._position < end:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stop.is_set() or self._here > self._position or self._position == end
                )
                here = min(self._here, end)
            if self._position < here:
                self._read_back(here)
            elif self._position < end:
                raise Cancelled
        with self._changed:
            self._buffer = None
            self._writes.append(self._taken)
        return len(buffer)

    def _read_back(self, here: int) -> None:
        """Nothing is taken meanwhile: what comes next lies behind these bytes."""
        assert self._buffer is not None
        position = self._position
        while position < here:
            length = os.preadv(self._fd, [self._buffer[position - self._begin : here - self._begin]], position)
            if length == 0:
                raise OSError(errno.EIO, "the file got shorter while it was received")
            position += length
        with self._changed:
            self._position = position
            self._changed.notify_all()

    def _write(self, chunk: memoryview) -> None:
        """The sink that has a buffer on disk of which a part was not."""
        begin, self._written = self._written, self._written + len(chunk)
        if not self._writes.popleft():
            return
        if self._target is None:  # another descriptor: the first one's writes must not all go past the page cache
            self._target = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            self._writer = DirectWriter(self._target)
        assert self._writer is not None
        self._writer.write(begin, chunk)
        self._on_disk(self._written)
