"""A web server on loopback for tests of programs that fetch."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@contextmanager
def served(
    files: Mapping[str, bytes],
    *,
    password: str | None = None,
    in_the_middle: Mapping[str, Callable[[int, int], object]] | None = None,
) -> Iterator[str]:
    """A web server that has these files (path to contents) and nothing else; with a password, for who gives it.

    Of a path of ``in_the_middle`` it sends one half, calls what is there with the client's port and its own, and hangs
    up.
    """
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
            meanwhile = (in_the_middle or {}).get(unquote(self.path))
            if meanwhile is None:
                self.wfile.write(contents or b"")
            else:
                self.wfile.write((contents or b"")[: len(contents or b"") // 2])
                meanwhile(self.client_address[1], server.server_port)

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
