"""A registry of OCI's distribution-spec in memory that does what some real ones do and Debian's does not: it keeps what
came of a chunk that broke off, gives tokens, and sends whoever reads a blob to another server. It counts requests."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    authorization: str | None
    body_size: int


@dataclass
class Registry:
    """``user`` and ``password`` make it ask for tokens, which are its own; ``storage`` is where blobs are read."""

    user: str = ""
    password: str = ""
    identity_token: str = ""
    storage: str = ""  #: ``http://HOST:PORT`` that blobs are redirected to
    refuses_chunks_with: int = 0  #: an HTTP status
    refuses_ends_with: list[int] = field(default_factory=list)  #: HTTP statuses for the next uploads that would end
    cut_after: int | None = None  #: bytes of the body of the next PATCH after which the connection breaks
    cuts: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    scopes: list[list[str]] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def sent(self, method: str) -> list[Seen]:
        return [one for one in self.seen if one.method == method]

    @property
    def token(self) -> str:
        return "t0ken-" + hashlib.sha256(self.user.encode()).hexdigest()


@contextmanager
def running(registry: Registry) -> Iterator[Registry]:
    """Serve it."""

    class Handler(_Handler):
        state = registry

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Registry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
        pass

    def do_GET(self) -> None:
        self._note()
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._token(parse_qs(parts.query), self.headers.get("Authorization"))
        elif parts.path.startswith("/storage/"):
            self._bytes(self.state.blobs[parts.path.removeprefix("/storage/")])
        elif self._is_known():
            self._read(parts.path)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self._body()
        self._note(len(body))
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._token(parse_qs(body.decode()), None)
        elif self._is_known():
            name = f"u{len(self.state.uploads)}"
            self.state.uploads[name] = bytearray()
            self._answer(202, {"Location": f"/v2/up/{name}?s=0", "Range": "0-0"})

    def do_PATCH(self) -> None:
        if not self._is_known():
            self._body()
            return
        upload = self.state.uploads[urlsplit(self.path).path.rsplit("/", 1)[-1]]
        size = int(self.headers["Content-Length"])
        if self.state.refuses_chunks_with:
            self._body()
            self._answer(self.state.refuses_chunks_with)
            return
        if self.headers["Content-Range"] != f"{len(upload)}-{len(upload) + size - 1}":
            self._body()
            self._answer(416)
            return
        cut, self.state.cut_after = self.state.cut_after, None
        came = self.rfile.read(size if cut is None else min(cut, size))
        upload += came
        self._note(len(came))
        if len(came) < size:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(2)
            return
        self._answer(202, self._place(upload))

    def do_PUT(self) -> None:
        body = self._body()
        self._note(len(body))
        if not self._is_known():
            return
        parts = urlsplit(self.path)
        if "/manifests/" in parts.path:
            kind = self.headers["Content-Type"]
            self.state.manifests[parts.path.rsplit("/", 1)[-1]] = (kind, body)
            self.state.manifests["sha256:" + hashlib.sha256(body).hexdigest()] = (kind, body)
            self._answer(201)
            return
        upload = self.state.uploads[parts.path.rsplit("/", 1)[-1]]
        if self.state.refuses_ends_with:
            self._answer(self.state.refuses_ends_with.pop())
            return
        upload += body
        digest = parse_qs(parts.query)["digest"][0]
        if digest != "sha256:" + hashlib.sha256(upload).hexdigest():
            self._answer(400, body=json.dumps({"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}).encode())
            return
        self.state.blobs[digest] = bytes(upload)
        self._answer(201)

    def _read(self, path: str) -> None:
        last = path.rsplit("/", 1)[-1]
        if path.startswith("/v2/up/"):
            self._answer(204, self._place(self.state.uploads[last]))
        elif "/manifests/" in path and last in self.state.manifests:
            kind, data = self.state.manifests[last]
            self._bytes(data, kind)
        elif "/blobs/" in path and last in self.state.blobs:
            if self.state.storage and self.command == "GET":
                self._answer(307, {"Location": f"{self.state.storage}/storage/{last}?signature=s3cret"})
            else:
                self._bytes(self.state.blobs[last])
        else:
            self._answer(404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}')

    def _place(self, upload: bytearray) -> dict[str, str]:
        name = next(name for name, one in self.state.uploads.items() if one is upload)
        return {"Location": f"/v2/up/{name}?s={len(upload)}", "Range": f"0-{max(0, len(upload) - 1)}"}

    def _is_known(self) -> bool:
        if not self.state.user or self.headers.get("Authorization") == f"Bearer {self.state.token}":
            return True
        realm = f'Bearer realm="http://{self.state.address}/token",service="test, registry",scope="repository:a:pull"'
        self._answer(401, {"WWW-Authenticate": realm})
        return False

    def _token(self, fields: dict[str, list[str]], authorization: str | None) -> None:
        self.state.scopes.append(fields.get("scope", []))
        login = base64.b64encode(f"{self.state.user}:{self.state.password}".encode()).decode()
        by_password = self.state.password and authorization == f"Basic {login}"
        by_token = self.state.identity_token and fields.get("refresh_token") == [self.state.identity_token]
        if by_password or by_token:
            self._bytes(json.dumps({"access_token": self.state.token}).encode(), "application/json")
        else:
            self._answer(401)

    def _bytes(self, data: bytes, kind: str = "application/octet-stream") -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, {"Content-Type": kind}, data)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        self._answer(206, {"Content-Type": kind}, data[int(first) : int(last) + 1])

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _note(self, size: int = 0) -> None:
        self.state.seen.append(Seen(self.command, self.path, self.headers.get("Authorization"), size))

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
