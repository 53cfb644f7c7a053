"""Google's XML API on loopback, as far as moto's S3 server has it: both agree on objects, lists and uploads in parts.

What differs is translated on the way: the condition of an object that must be new, generations, the kind of login. No
server of a package registry has this API with uploads in parts, by which Google's storage is written here.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.s3_server import BUCKET, serving_s3

#: moto looks whose it is, and at nothing else.
_LOGIN = "AWS4-HMAC-SHA256 Credential=key/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@dataclass(frozen=True)
class GcsServer:
    """``cache`` is the URL of a cache in its one bucket, ``environment`` what Google's tools need."""

    port: int
    folder: Path

    def cache(self, prefix: str, port: int) -> str:
        return f"gs://{BUCKET}/{prefix}"

    def environment(self, port: int) -> dict[str, str]:
        """For who reaches the server by this port."""
        account = self.folder / f"account-{port}.json"
        known = {"gcs_base_url": f"http://127.0.0.1:{port}", "disable_oauth": True}
        account.write_text(json.dumps({**known, "client_email": "", "private_key": "", "private_key_id": ""}))
        return {"GOOGLE_SERVICE_ACCOUNT": str(account), "GOOGLE_ALLOW_HTTP": "true"}


@contextmanager
def serving_gcs(folder: Path) -> Iterator[GcsServer]:
    """The server with an empty bucket, until the block ends."""
    folder.mkdir()
    with serving_s3() as s3:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in ("host", "authorization", "connection", "x-goog-if-generation-match")
                }
                headers["Authorization"] = _LOGIN
                if self.headers.get("x-goog-if-generation-match") == "0":
                    headers["If-None-Match"] = "*"
                connection = http.client.HTTPConnection("127.0.0.1", s3.port)
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                size = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", size or str(len(data)))
                self.send_header("x-goog-generation", "1")
                self.end_headers()
                with suppress(OSError):  # who asked may be gone
                    self.wfile.write(data)
                connection.close()

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the base class looks for these names

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield GcsServer(server.server_port, folder)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
