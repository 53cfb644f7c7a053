"""The digests of a file while it arrives: they follow the front, before which all bytes are here.

SHA-256 cannot be split, so each of the two digests has a thread of its own that reads the file back, from the page
cache unless the front was held up for long. What was received by an earlier process is hashed the same way, beside
the arrival of the rest.
"""

from __future__ import annotations

import errno
import os
from threading import Condition, Thread

from hf_pack.adapters.embedded.fan_out import MIB, Sink
from hf_pack.adapters.embedded.object_hash import FlatHash, FlatHasher

_CHUNK = MIB // 2  # stays in a core's cache between the copy and the digest


class FrontHash:
    """The digests of the file of ``size`` bytes behind a descriptor, which stays open until :meth:`stop`."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self._front = 0
        self._stopped = False
        self._error: BaseException | None = None
        self._changed = Condition()
        self._hasher = FlatHasher(size)
        self._threads = [
            Thread(target=self._run, args=[sink], name="hf-pack front", daemon=True) for sink in self._hasher.sinks
        ]
        for thread in self._threads:
            thread.start()

    def advance(self, front: int) -> None:
        """The bytes before ``front`` are in the file and will not change. Never waits."""
        with self._changed:
            before, self._front = self._front, max(self._front, front)
            if before // _CHUNK < self._front // _CHUNK or self._front == self._size:
                self._changed.notify_all()

    def result(self) -> FlatHash:
        """Wait until all is hashed; the front has come to the end. Raises OSError of the reads."""
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return self._hasher.result()

    def stop(self) -> None:
        """End the threads, wherever they are."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, sink: Sink) -> None:
        buffer = memoryview(bytearray(min(_CHUNK, self._size)))
        position = 0
        try:
            while position < self._size:
                end = min(position + _CHUNK, self._size)
                if not self._comes(end):
                    return
                while position < end:
                    length = os.preadv(self._fd, [buffer[: end - position]], position)
                    if length == 0:
                        raise OSError(errno.EIO, "the file got shorter while it was received")
                    sink(buffer[:length])
                    position += length
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._error = error

    def _comes(self, end: int) -> bool:
        """Wait for the bytes before ``end``; False when they are not wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._front >= end)
            return not self._stopped
