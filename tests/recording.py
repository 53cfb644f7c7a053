"""A binary cache's files over HTTP, by ranges: what was asked for is recorded, and an answer may break off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_CHUNK = 1 << 16


@dataclass
class Recorder:
    """``requests`` are paths in order; ``sent`` counts the bytes of bodies that went out, by path.

    ``gate`` is called with the path and all bytes sent of bodies, before each chunk; False breaks the connection.
    """

    url: str = ""
    requests: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    gate: Callable[[str, int], bool] = lambda path, total: True

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    def clear(self) -> None:
        self.requests.clear()
        self.sent.clear()


@contextmanager
def recording(directory: Path) -> Iterator[Recorder]:
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path).lstrip("/")
            with recorder.turn:
                recorder.requests.append(path)
            file = directory / path
            if not file.is_file():
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            size = file.stat().st_size
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            first, _, last = asked.partition("-")
            begin = int(first) if first else 0
            end = min(int(last) + 1, size) if last else size
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(end - begin))
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.end_headers()
            with file.open("rb") as contents:
                contents.seek(begin)
                while begin < end:
                    chunk = contents.read(min(_CHUNK, end - begin))
                    if not recorder.gate(path, recorder.total):
                        self.close_connection = True
                        return
                    try:
                        self.wfile.write(chunk)
                    except OSError:
                        self.close_connection = True
                        return
                    begin += len(chunk)
                    with recorder.turn:
                        recorder.sent[path] = recorder.sent.get(path, 0) + len(chunk)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
