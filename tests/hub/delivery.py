"""Answers on their way to the socket, whole or spoiled by a fault."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus

from tests.hub.content import Count
from tests.hub.faults import CUTS, Fault
from tests.hub.messages import Answer

_LINGER = struct.Struct("ii")
_FLUSH_SECONDS = 5.0
_SLICES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One connection's way out. ``stopping`` is set when the server stops."""

    connection: socket.socket
    stopping: threading.Event
    count: Count

    def send(self, answer: Answer, fault: Fault | None, *, body: bool) -> bool:
        """Sends an answer, without its body for HEAD; gives whether the connection may be used again."""
        kind = fault.kind if fault else "ok"
        if kind == "hang":
            return self._wait_for_hangup()
        place = fault.place(answer.content, answer.file_size) if fault else 0
        stop = place if kind == "short" else answer.stop
        length = fault.length if fault and kind == "wrong-length" else stop - answer.start
        if not body and kind in CUTS:
            return self._end(kind)
        self.connection.sendall(_head(answer, stop, length))
        if not body:
            return True
        if answer.chunked:
            self.connection.sendall(f"{length:x}\r\n".encode())
        if kind in CUTS:
            self._copy(answer, answer.start, place)
            return self._end(kind)
        if kind == "corrupt":
            self._copy(answer, answer.start, place)
            self.connection.sendall(bytes([answer.content.read(place, place + 1)[0] ^ 0xFF]))
            self.count(1)
            self._copy(answer, place + 1, stop)
        elif fault and kind == "slow":
            self._drip(answer, fault.rate)
        else:
            self._copy(answer, answer.start, stop)
        if answer.chunked:
            self.connection.sendall(b"\r\n0\r\n\r\n")
        return kind != "wrong-length"

    def _copy(self, answer: Answer, start: int, stop: int) -> None:
        answer.content.send(self.connection, start, stop, self.count)

    def _drip(self, answer: Answer, rate: int) -> None:
        began, step = time.monotonic(), max(1, rate // _SLICES)
        for start in range(answer.start, answer.stop, step):
            stop = min(start + step, answer.stop)
            self._copy(answer, start, stop)
            if self.stopping.wait(max(0.0, began + (stop - answer.start) / rate - time.monotonic())):
                raise ConnectionAbortedError("the server stops")

    def _end(self, kind: str) -> bool:
        if kind == "stall":
            return self._wait_for_hangup()
        if kind == "reset":
            self._flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
        return False

    def _flush(self) -> None:
        """Waits until all that was written has arrived: a reset would drop the rest, and offsets would not hold."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._unsent() and time.monotonic() < deadline and not self.stopping.wait(0.001):
            pass

    def _unsent(self) -> int:
        return int.from_bytes(fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)), "little")

    def _wait_for_hangup(self) -> bool:
        """Until the client ends the connection, or the server does as it stops."""
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP)
        poll.poll()
        return False


def resets(connection: socket.socket) -> bool:
    """Whether a connection is to be reset when it is closed."""
    state = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
    return bool(_LINGER.unpack(state)[0])


def _head(answer: Answer, stop: int, length: int) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status == 206:
        lines.append(f"Content-Range: bytes {answer.start}-{stop - 1}/{answer.content.size}")
    lines.append("Transfer-Encoding: chunked" if answer.chunked else f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
