"""A connection to a Nix daemon: the greeting, requests, and what it says while it works (``worker-protocol``).

While it works on a request the daemon sends messages: activities and log lines, of which errors explain what comes
after them, then ``LAST`` and the answer, or ``ERROR``. It takes further requests after an ``ERROR``, unless a stream
was on its way; after any other failure the connection is of no use any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from hf_pack.adapters.nix_daemon import wire
from hf_pack.adapters.nix_daemon.channel import Channel
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError, logged_error, plain, refused
from hf_pack.adapters.nix_daemon.wire import Decoder, WireError

_OURS = 0x6E697863
_THEIRS = 0x6478696F
_MAJOR = 1
#: 1.26 came with Nix 2.4, the first to take content-addressed objects with references; we speak up to 1.35.
_LEAST_MINOR = 26
_MOST_MINOR = 35

#: An activity that copies one path, and the result that says how far it is (Nix's ``logging.hh``).
_COPY_PATH = 100
_PROGRESS = 105

_FRAME = 1 << 18  # the daemon holds a frame in memory


class _Message(IntEnum):
    """The kinds of messages."""

    LAST = 0x616C7473
    NEXT = 0x6F6C6D67
    ERROR = 0x63787470
    START = 0x53545254
    STOP = 0x53544F50
    RESULT = 0x52534C54


@dataclass(frozen=True, slots=True)
class FilePart:
    """``size`` bytes of an open file from ``offset``, as part of a stream: they are sent without being copied here."""

    descriptor: int
    offset: int
    size: int


class Connection:
    """A greeted connection. Not thread-safe. Raises DaemonGoneError for a daemon that is too old or none at all."""

    def __init__(self, channel: Channel, place: str) -> None:
        self._channel = channel
        self._place = place
        self._answer = Decoder(channel.receive)
        self._done = False
        self._cause = ""  # the last error that was logged during this request
        self._copying: dict[int, int] = {}
        self.copied: Callable[[int], object] | None = None  #: is told the bytes of paths as the daemon copies them
        try:
            self.minor, self.nix_version, self.trusted = self._greet()
        except WireError as error:
            raise self._no_daemon(str(error)) from None

    def close(self) -> None:
        """Hang up; the daemon drops temporary roots and undoes what is unfinished."""
        self._channel.close()

    def call(self, operation: int, *arguments: bytes) -> Decoder:
        """Send a request; its answer can be read from what is returned. Raises DaemonRefusedError, DaemonGoneError."""
        self._channel.send(wire.number(operation) + b"".join(arguments))
        return self._finish()

    def stream(self, operation: int, *arguments: bytes, body: Iterable[bytes | FilePart]) -> Decoder:
        """Send a request with a framed stream behind it; memory stays at a few pieces, whatever the stream's length.

        Raises EOFError when a file ends within a part.
        """
        self._channel.send(wire.number(operation) + b"".join(arguments), self._heard)
        small = bytearray()
        for piece in body:
            if not isinstance(piece, FilePart) and len(small) + len(piece) < _FRAME:
                small += piece
                continue
            self._send_frame(small)
            small.clear()
            if isinstance(piece, FilePart):
                self._send_file(piece)
            else:
                self._send_frame(piece)
        self._send_frame(small)
        self._channel.send(wire.frame_header(0), self._heard)
        return self._finish()

    def patience(self, seconds: float | None) -> None:
        """How long the daemon may say nothing from now on."""
        self._channel.patience = seconds

    def _send_frame(self, data: bytes | bytearray) -> None:
        if data:  # none at all would end the stream
            self._channel.send(wire.frame_header(len(data)), self._heard)
            self._channel.send(data, self._heard)

    def _send_file(self, part: FilePart) -> None:
        for start in range(0, part.size, _FRAME):
            size = min(_FRAME, part.size - start)
            self._channel.send(wire.frame_header(size), self._heard)
            if self._channel.send_file(part.descriptor, part.offset + start, size, self._heard) < size:
                raise EOFError

    def _greet(self) -> tuple[int, str, bool | None]:
        self._channel.send(wire.number(_OURS) + wire.number(_MAJOR << 8 | _MOST_MINOR))
        if self._answer.number() != _THEIRS:
            raise WireError("it does not greet as one")
        version = self._answer.number()
        major, minor = version >> 8, min(version & 0xFF, _MOST_MINOR)
        if major != _MAJOR or minor < _LEAST_MINOR:
            raise DaemonGoneError(
                f"the Nix daemon is too old for content-addressed objects with references\n"
                f"  at {self._place}: expected protocol {_MAJOR}.{_LEAST_MINOR} or newer (Nix 2.4), "
                f"found {major}.{minor}",
                hint="update Nix, or choose a directory with --store",
            )
        self._channel.send(wire.number(0) + wire.number(0))  # no CPU to stay on, no space to reserve
        nix_version = self._answer.text() if minor >= 33 else ""
        trusted = {1: True, 2: False}.get(self._answer.number()) if minor >= 35 else None
        self._finish()
        return minor, nix_version, trusted

    def _finish(self) -> Decoder:
        while not self._done:
            self._message()
        self._done = False
        self._cause = ""
        return self._answer

    def _heard(self) -> None:
        """Something arrives while we still send: a log line, or the reason why it was all in vain."""
        self._message()
        if self._done:
            raise self._no_daemon("it answered before it had everything")

    def _message(self) -> None:
        try:
            self._read_message()
        except WireError as error:
            raise self._no_daemon(str(error)) from None

    def _read_message(self) -> None:
        answer = self._answer
        match answer.number():
            case _Message.LAST:
                self._done = True
            case _Message.NEXT:
                self._cause = logged_error(answer.text()) or self._cause
            case _Message.ERROR:
                raise self._error()
            case _Message.START:  # activity, level, type; text; fields; parent
                activity, _level, kind = answer.number(), answer.number(), answer.number()
                answer.text()
                _fields(answer)
                answer.number()
                if kind == _COPY_PATH:
                    self._copying[activity] = 0
            case _Message.STOP:
                self._copying.pop(answer.number(), None)
            case _Message.RESULT:  # activity, type; fields: bytes done, and others
                activity, kind = answer.number(), answer.number()
                fields = _fields(answer)
                if kind == _PROGRESS and activity in self._copying and fields:
                    before, self._copying[activity] = self._copying[activity], fields[0]
                    if self.copied is not None:
                        self.copied(fields[0] - before)
            case other:
                raise WireError(f"it sent a message of an unknown kind: {other:#x}")

    def _error(self) -> Exception:
        answer = self._answer
        answer.text()  # its type, level and name say nothing more
        answer.number()
        answer.text()
        message = plain(answer.text())
        answer.number()
        for _ in range(answer.number(wire.MOST_ITEMS)):
            answer.number()
            answer.text()
        cause, self._cause = self._cause, ""
        return refused(message, cause)

    def _no_daemon(self, problem: str) -> DaemonGoneError:
        return DaemonGoneError(
            f"this is no Nix daemon that hf-pack understands: {problem}\n  at {self._place}",
            hint="check NIX_REMOTE and NIX_DAEMON_SOCKET_PATH",
        )


def _fields(answer: Decoder) -> list[int]:
    """The numbers among them."""
    numbers = []
    for _ in range(answer.number(wire.MOST_ITEMS)):
        match answer.number():
            case 0:
                numbers.append(answer.number())
            case 1:
                answer.text()
            case other:
                raise WireError(f"it sent a field of an unknown kind: {other}")
    return numbers
