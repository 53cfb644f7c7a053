"""Writing large files past the page cache (``O_DIRECT``) where that is possible.

Nothing is copied into the page cache, no dirty pages pile up, and the write-back that a final ``fsync`` waits for has
happened beside the work that made the bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os

from hf_pack.disk.fan_out import MIB, Lane, new_buffers

BLOCK = 4096  #: bytes; no block device wants a larger alignment
_CHUNK = MIB
_BUFFERS = 4


class DirectWriter:
    """A sink that writes a file from ``position`` on; whole blocks at block boundaries go past the page cache.

    Such chunks must begin on a page of memory, as those of :func:`hf_pack.disk.fan_out.new_buffers` do. Raises OSError.
    """

    def __init__(self, fd: int, position: int = 0) -> None:
        self._fd = fd
        self._position = position
        self._possible = True
        self._direct = False

    def __call__(self, chunk: memoryview) -> None:
        """Write all of it."""
        while chunk:
            self._set_direct(self._possible and self._position % BLOCK == len(chunk) % BLOCK == 0)
            try:
                written = os.pwrite(self._fd, chunk, self._position)
            except OSError as error:
                # Some file systems accept O_DIRECT and refuse to write that way.
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                self._possible = False
                continue
            self._position += written
            chunk = chunk[written:]

    def _set_direct(self, direct: bool) -> None:
        if direct == self._direct:
            return
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL) & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags | (os.O_DIRECT if direct else 0))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._possible = direct = False
        self._direct = direct


class Appending:
    """Bytes of any length, gathered into whole blocks and written from ``position`` on in a thread of its own."""

    def __init__(self, fd: int, position: int) -> None:
        self._writer = DirectWriter(fd, position)
        self._buffers = new_buffers(_BUFFERS, _CHUNK)
        self._lane: Lane | None = None  # a thread costs more than a small file
        self._turn = 0
        self._filled = 0
        self._room = _CHUNK - position % BLOCK  # so that what follows begins at a block's boundary

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes, which may change afterwards. Raises the OSError of earlier ones."""
        rest = memoryview(data).cast("B")
        while rest:
            length = min(len(rest), self._room - self._filled)
            self._buffers[self._turn][self._filled : self._filled + length] = rest[:length]
            self._filled += length
            rest = rest[length:]
            if self._filled == self._room:
                self._hand_over()

    def finish(self) -> None:
        """Wait until all is written, also in the middle; not until it is on disk. Raises OSError. The last call."""
        rest = self._buffers[self._turn][: self._filled]
        if self._lane is None:
            self._writer(rest)
            return
        self._lane.put(rest)
        self._lane.close()
        self._lane.check()

    def _hand_over(self) -> None:
        if self._lane is None:
            self._lane = Lane(self._writer, _BUFFERS)
            self._lane.wait()
        self._lane.put(self._buffers[self._turn][: self._filled])
        self._turn = (self._turn + 1) % _BUFFERS
        self._filled, self._room = 0, _CHUNK
        self._lane.wait()
