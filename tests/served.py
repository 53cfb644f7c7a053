"""A web server on loopback for tests of programs that fetch."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@contextmanager
def served(files: Mapping[str, bytes], *, password: str | None = None) -> Iterator[str]:
    """A web server that has these files (path to contents) and nothing else; with a password, for who gives it."""
    token = base64.b64encode(f"user:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            contents = files.get(unquote(self.path))
            status = 200 if contents is not None else 404
            if password is not None and self.headers["Authorization"] != f"Basic {token}":
                contents, status = b"", 401
            self.send_response(status)
            self.send_header("Content-Length", str(len(contents or b"")))
            self.end_headers()
            self.wfile.write(contents or b"")

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
