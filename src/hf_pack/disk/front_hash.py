"""The digests of a file while it arrives: they follow the front, before which all bytes are here.

The file is read back, from the page cache unless the front was held up for long; each of the two digests has a thread
of its own. What was received by an earlier process is hashed the same way, beside the arrival of the rest.
"""

from __future__ import annotations

import errno
import os
from threading import Condition, Event, Thread

from hf_pack.disk.fan_out import MIB, Cancelled, fan_out, new_buffers
from hf_pack.disk.object_hash import FlatHash, FlatHasher

_CHUNK = MIB // 2  # stays in a core's cache between the read and the digest
_BUFFERS = 4


class FrontHash:
    """The digests of the file of ``size`` bytes behind a descriptor, which stays open until :meth:`stop`."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self._front = 0
        self._position = 0
        self._stop = Event()
        self._error: BaseException | None = None
        self._changed = Condition()
        self._hasher = FlatHasher(size)
        self._thread = Thread(target=self._run, name="hf-pack front", daemon=True)
        self._thread.start()

    def advance(self, front: int) -> None:
        """The bytes before ``front`` are in the file and will not change. Does not wait."""
        # Most often nobody waits for so little; what another thread just told only makes that rarer.
        if front // _CHUNK > self._front // _CHUNK or front == self._size:
            with self._changed:
                self._front = max(self._front, front)
                self._changed.notify_all()

    def result(self) -> FlatHash:
        """Wait until all is hashed; the front has come to the end. Raises OSError of the reads."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._hasher.result()

    def stop(self) -> None:
        """End the threads, wherever they are."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        buffers = new_buffers(_BUFFERS, max(1, min(_CHUNK, self._size)))
        try:
            fan_out(
                self._fill,
                self._size,
                self._hasher.sinks,
                buffers=buffers,
                progress=lambda _size: None,
                stop=self._stop,
            )
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._error = error

    def _fill(self, buffer: memoryview) -> int:
        end = self._position + len(buffer)
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._front >= end)
        if self._stop.is_set():
            raise Cancelled
        while self._position < end:
            length = os.preadv(self._fd, [buffer[self._position - end :]], self._position)
            if length == 0:
                raise OSError(errno.EIO, "the file got shorter while it was received")
            self._position += length
        return len(buffer)
