"""An HTTP server of immutable objects by key: GET and HEAD, ranges, files by ``sendfile``. It writes nothing.

A file's bytes go from the page cache to the socket; no object is made on disk or held in memory.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from hf_pack.disk.nar_on_disk import FilePart, NarOnDisk
from hf_pack.disk.object_hash import open_regular
from hf_pack.errors import Error, UsageError
from hf_pack.ports import Readable

LookUp = Callable[[str], bytes | Readable | None]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_IDLE_SECONDS = 60  #: a peer that neither asks nor reads for so long is left


class CacheServer(ThreadingHTTPServer):
    """Serves what ``look_up`` finds for a key; None is a 404. A thread a connection.

    Raises UsageError when the address cannot be listened at. ``serve_forever`` runs until ``shutdown``.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, look_up: LookUp) -> None:
        self.look_up = look_up
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"cannot listen at {host}:{port}: {error.strerror}\n  --listen: found {host}:{port}",
                hint="hf-pack serve-cache --listen HOST:PORT, with a free port",
            ) from None

    @property
    def url(self) -> str:
        """Where it is reached from this machine."""
        host, port = self.server_address[0], self.server_address[1]
        return f"http://[{host!s}]:{port}" if self.address_family == socket.AF_INET6 else f"http://{host!s}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A peer that went away in the middle is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hf-pack"
    sys_version = ""
    timeout = _IDLE_SECONDS
    server: CacheServer

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        """Requests are the reverse proxy's to log."""

    def _answer(self, *, with_body: bool) -> None:
        try:
            found = self.server.look_up(unquote(urlsplit(self.path).path).lstrip("/"))
        except (Error, ValueError):
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
        if found is None:
            return self._refuse(HTTPStatus.NOT_FOUND)
        size = len(found) if isinstance(found, bytes) else found.size
        wanted = _range(self.headers.get("Range"), size)
        if wanted is None:
            return self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", f"bytes */{size}"))
        offset, length, is_part = wanted
        self.send_response(HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "text/plain" if isinstance(found, bytes) else "application/x-nix-nar")
        if is_part:
            self.send_header("Content-Range", f"bytes {offset}-{offset + length - 1}/{size}")
        self.end_headers()
        if with_body:
            self._send(found, offset, length)
        return None

    def _send(self, found: bytes | Readable, offset: int, length: int) -> None:
        """Nothing can be said any more when this breaks: the connection ends, and the peer sees too few bytes."""
        try:
            for part in _parts(found, offset, length):
                if isinstance(part, FilePart):
                    with open(open_regular(part.path, follow=False), "rb") as file:  # noqa: PTH123 - a descriptor
                        sent = self.connection.sendfile(file, part.offset, part.size)
                    if sent < part.size:
                        raise EOFError
                else:
                    self.wfile.write(part)
        except (OSError, EOFError):
            self.close_connection = True

    def _refuse(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()


def _parts(found: bytes | Readable, offset: int, length: int) -> Iterator[bytes | memoryview | FilePart]:
    if isinstance(found, bytes):
        yield found[offset : offset + length]
    elif isinstance(found, NarOnDisk):
        yield from found.parts(offset, length)
    else:
        yield from found.chunks(offset, length)


def _range(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """Offset, length, and whether only a part is wanted; None for a range outside. What is no single range is ignored
    (RFC 9110, section 14.2)."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return 0, size, False
    first, last = match.groups()
    if first:
        begin, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < begin:
            return 0, size, False
    else:
        begin, end = max(0, size - int(last)), size - 1
    return (begin, end - begin + 1, True) if begin <= end and begin < size else None
