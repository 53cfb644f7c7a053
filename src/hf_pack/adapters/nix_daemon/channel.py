"""Bytes to and from a daemon over two descriptors, never waiting longer than ``patience`` without a sign of life."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from functools import partial

from hf_pack.adapters.nix_daemon.faults import DaemonGoneError, gone

_READ = 1 << 16
_BROKEN = (BrokenPipeError, ConnectionResetError)
#: The ways in which a file system says that it has no ``sendfile``.
_NO_SENDFILE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class Channel:
    """Both directions of one connection. Not thread-safe.

    ``place`` names the peer in errors; ``said`` gives what a process that we started printed. The descriptors are
    this object's, and may be one.
    """

    def __init__(
        self,
        reading: int,
        writing: int,
        place: str,
        *,
        patience: float,
        said: Callable[[], str] = str,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._place = place
        self._said = said
        self._buffer = bytearray()
        self.patience: float | None = patience  #: seconds; None waits for ever
        for descriptor in {reading, writing}:
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        """Close the descriptors: the peer sees the end of the stream."""
        for descriptor in {self._reading, self._writing}:
            os.close(descriptor)

    def receive(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises DaemonGoneError when the peer closes or falls silent."""
        while len(self._buffer) < size:
            self._wait(reading=True, writing=False)
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def send(self, data: bytes | bytearray, heard: Callable[[], None] | None = None) -> None:
        """Send all of it. ``heard`` is called when something arrived meanwhile, and may raise what it says."""
        with memoryview(data) as rest:
            sent = 0
            while sent < len(rest):
                sent += self._attempt(partial(os.write, self._writing, rest[sent:]), heard)

    def send_file(self, file: int, offset: int, size: int, heard: Callable[[], None]) -> int:
        """Send ``size`` bytes of an open file without copying them here; returns how many there were."""
        sent = 0
        while sent < size:
            try:
                count = self._attempt(partial(os.sendfile, self._writing, file, offset + sent, size - sent), heard)
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise
                data = os.pread(file, min(size - sent, _READ), offset + sent)
                self.send(data, heard)
                count = len(data)
            if count == 0:
                break
            sent += count
        return sent

    def _attempt(self, write: Callable[[], int], heard: Callable[[], None] | None) -> int:
        while True:
            if heard is not None and (self._buffer or self._readable()):
                self._listen(heard)
            try:
                return write()
            except BlockingIOError:
                self._wait(reading=heard is not None, writing=True)
            except _BROKEN:
                # What it said before it went away is the reason.
                while heard is not None:
                    self._listen(heard)
                raise self._gone("the Nix daemon closed the connection") from None

    def _listen(self, heard: Callable[[], None]) -> None:
        if not self._buffer:
            self._fill()
        heard()

    def _readable(self) -> bool:
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        return bool(poll.poll(0))

    def _wait(self, *, reading: bool, writing: bool) -> None:
        poll = select.poll()
        wanted = {self._reading: select.POLLIN if reading else 0}
        wanted[self._writing] = wanted.get(self._writing, 0) | (select.POLLOUT if writing else 0)
        for descriptor, events in wanted.items():
            if events:
                poll.register(descriptor, events)
        if not poll.poll(None if self.patience is None else self.patience * 1000):
            raise self._gone(f"the Nix daemon said nothing for {self.patience:,.0f} seconds")

    def _fill(self) -> None:
        try:
            data = os.read(self._reading, _READ)
        except BlockingIOError:
            return
        except _BROKEN:
            data = b""
        if not data:
            raise self._gone("the Nix daemon closed the connection")
        self._buffer += data

    def _gone(self, what: str) -> DaemonGoneError:
        return gone(what, self._place, said=self._said())
