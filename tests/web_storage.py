"""A web server on loopback that keeps what is PUT, in memory: what plain HTTP object storage is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Kept:
    """``objects`` by path; ``requests`` are methods with paths; ``broken`` PUTs end in the middle, so many."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: int = 0


@contextmanager
def keeping() -> Iterator[Kept]:
    """The server, until the block ends. Paths are below ``/cache/``."""
    kept = Kept()
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _key(self) -> str:
            kept.requests.append(f"{self.command} {unquote(self.path)}")
            return unquote(self.path).removeprefix("/cache/")

        def do_GET(self) -> None:
            data = kept.objects.get(self._key())
            status = 404 if data is None else 200
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            if data is not None and asked:
                first, _, last = asked.partition("-")
                data, status = data[int(first) : int(last) + 1 if last else None], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data or b"")

        do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

        def do_PUT(self) -> None:
            key, size = self._key(), int(self.headers["Content-Length"])
            with turn:
                breaks = kept.broken > 0 and size > 1 << 20
                kept.broken -= breaks
            if breaks:
                self.rfile.read(size // 2)
                self.close_connection = True
                self.connection.close()
                return
            data = self.rfile.read(size)
            if len(data) < size:  # who sent it gave up; as every server does, nothing is kept then
                self.close_connection = True
                return
            with turn:
                there = key in kept.objects and self.headers.get("If-None-Match") == "*"
                if not there:
                    kept.objects[key] = data
            self.send_response(412 if there else 201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/cache"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
