"""Kept-alive connections: one request on one of them, and the answer's body read into a buffer of the caller's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import quote, urlsplit

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.origin import Origin, origin_of
from hf_pack.adapters.hub.proxies import proxy_for
from hf_pack.adapters.hub.tls import tls_context

_URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"
_STALE = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)  # RemoteDisconnected is one of them


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection; ``absolute`` holds the headers for a proxy that wants the whole URL, else None."""

    http: HTTPConnection
    socket: socket.socket
    absolute: dict[str, str] | None


class Answer:
    """A status, headers, and a body that is read once. Closing it early gives the connection up.

    ``read_into`` raises OSError or HTTPException when the connection fails or the body ends before its length.
    """

    def __init__(self, pool: ConnectionPool, url: str, line: _Line, response: HTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self.length = response.length  #: bytes of the body, None when only its end will tell
        self._pool = pool
        self._line = line
        self._response = response
        self._left = response.length
        self._whole = response.length == 0

    def read_into(self, view: memoryview) -> int:
        """What the connection has, at least one byte; 0 at the end of the body."""
        if self._whole or not view:
            return 0
        if self._left is None:
            data = self._response.read1(len(view))
            view[: len(data)] = data
            self._whole = not data
            return len(data)
        # Past the response's own read: it makes a bytes object a piece, this receives into the caller's buffer.
        size: int = self._response.fp.readinto1(view[: self._left])
        if not size:
            raise IncompleteRead(b"", self._left)
        self._left -= size
        self._whole = not self._left
        return size

    def read(self, limit: int) -> bytes:
        """The rest of the body, ``limit`` bytes at most."""
        data = bytearray()
        buffer = memoryview(bytearray(min(limit, 1 << 16)))
        while len(data) < limit and (size := self.read_into(buffer[: limit - len(data)])):
            data += buffer[:size]
        return bytes(data)

    def close(self) -> None:
        """Hand the connection back when the body was read to its end, else drop it."""
        keep = self._whole and not self._response.will_close
        self._response.close()
        self._pool.give(origin_of(self.url), self._line, keep=keep)

    def abort(self) -> None:
        """Wake up whoever reads, from another thread."""
        with contextlib.suppress(OSError):  # it is closed already
            # Of the plain socket: TLS's own shutdown would take the object from under the reader.
            socket.socket.shutdown(self._line.socket, socket.SHUT_RDWR)


class ConnectionPool:
    """Idle connections by origin. Thread-safe; redirects and statuses are the caller's business."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: defaultdict[Origin, list[_Line]] = defaultdict(list)
        self._context: ssl.SSLContext | None = None

    def send(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """One request without a body. Raises OSError, HTTPException, HubError (proxy, certificates)."""
        origin = origin_of(url)
        while True:
            with self._lock:
                idle = self._idle[origin]
                line = idle.pop() if idle else None
            if line is None:
                return self._exchange(self._connect(origin), method, url, headers)
            try:
                return self._exchange(line, method, url, headers)
            except _STALE:
                pass  # the server closed a connection that lay idle: that says nothing about this request

    def give(self, origin: Origin, line: _Line, *, keep: bool) -> None:
        """A connection comes back."""
        if keep:
            with self._lock:
                if len(self._idle[origin]) < 2 * self._limits.connections:
                    self._idle[origin].append(line)
                    return
        line.http.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            for lines in self._idle.values():
                for line in lines:
                    line.http.close()
            self._idle.clear()

    def _exchange(self, line: _Line, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(url)
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_URL_CHARACTERS)
        try:
            if line.absolute is None:
                line.http.request(method, target, headers=dict(headers))
            else:
                line.http.request(method, f"{origin_of(url)}{target}", headers={**headers, **line.absolute})
            return Answer(self, url, line, line.http.getresponse())
        except BaseException:
            line.http.close()
            raise

    def _connect(self, origin: Origin) -> _Line:
        proxy = proxy_for(origin)
        host, port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
        login = {} if proxy is None or proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
        absolute = None
        connection: HTTPConnection
        if origin.scheme == "https":
            connection = HTTPSConnection(host, port, timeout=self._limits.connect_seconds, context=self._tls())
            if proxy is not None:
                connection.set_tunnel(origin.host, origin.port, headers=login)
        else:
            connection = HTTPConnection(host, port, timeout=self._limits.connect_seconds)
            absolute = None if proxy is None else login
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(self._limits.stall_seconds)
        return _Line(connection, connection.sock, absolute)

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = tls_context()
            return self._context
