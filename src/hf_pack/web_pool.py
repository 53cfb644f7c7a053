"""The one way in which addresses are asked: urllib3's pools, told of the environment's proxies and certificates.

Of urllib3's own retries and redirects there are none unless a pool is given some. Bodies come as they are sent,
never decoded. The functions raise ``OSError``, and ``HubError`` for a setting of the environment that makes no sense.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from io import RawIOBase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from hf_pack.errors import HubError

_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BLOCK = 1 << 20  #: bytes of a body that are sent at once
_PORTS = {"http": 80, "https": 443}
_STALE = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)  # RemoteDisconnected is one of them


class _Discreet(logging.Filter):
    """Drops what urllib3 says of our requests: its lines hold whole addresses, and some of those are signed."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the base names it
        return not getattr(self._here, "sends", False)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """What this thread does within it is ours."""
        self._here.sends = True
        try:
            yield
        finally:
            self._here.sends = False


_DISCREET = _Discreet()
for _name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_DISCREET)


class BrokenAnswerError(ConnectionError):
    """What came is no HTTP, or ends before its length."""


class Answer:
    """A status, headers, and a body that is read once. Closing it early gives the connection up."""

    def __init__(self, url: str, response: urllib3.HTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self.length = response.length_remaining  #: bytes of the body, None when only its end will tell
        self._response = response
        self._beneath: Any = getattr(response, "_fp", None)  # http.client's own, where urllib3 still has it there
        self._socket = socket.socket(fileno=os.dup(response.fileno()))

    def read1(self, limit: int) -> bytes:
        """What the connection has, from one byte to ``limit``; none at the end of the body."""
        try:
            return self._response.read1(limit, decode_content=False)
        except (HTTPError, OSError) as error:
            raise _cause(error) from error

    def read_into(self, view: memoryview) -> int:
        """What the connection has, received where it is wanted: twice as fast as :meth:`read1`. 0 at the end."""
        left = self._response.length_remaining
        if not left or self._beneath is None:
            data = self.read1(len(view))
            view[: len(data)] = data
            return len(data)
        size: int = self._beneath.fp.readinto1(view[:left])
        if not size and view:
            raise BrokenAnswerError("the body ends early")
        self._beneath.length = self._response.length_remaining = left - size
        return size

    def read(self, limit: int) -> bytes:
        """The rest of the body, ``limit`` bytes at most."""
        data = bytearray()
        while len(data) < limit and (piece := self.read1(limit - len(data))):
            data += piece
        return bytes(data)

    def close(self) -> None:
        """Hand the connection back when the body was read to its end, else drop it."""
        self._socket.close()
        if self._response.length_remaining == 0:
            self._response.drain_conn()  # nothing: but an answer without a body is not at its end before
        self._response.close()
        self._response.release_conn()

    def abort(self) -> None:
        """Wake up whoever reads, from another thread."""
        with contextlib.suppress(OSError):  # it is closed already
            # Of a plain socket: TLS's own shutdown, urllib3's too, would have the reader go on with what is encrypted.
            self._socket.shutdown(socket.SHUT_RDWR)


class WebPool:
    """Idle connections, ``connections`` a server at most, and new ones as they are needed. Thread-safe.

    With ``retries`` urllib3 tries again and follows redirects, else statuses are the caller's business. Connecting may
    take ``connect_seconds``, a silence ``read_seconds``.
    """

    def __init__(
        self,
        *,
        connections: int,
        connect_seconds: float,
        read_seconds: float,
        retries: urllib3.Retry | Literal[False] = False,
    ) -> None:
        self._connections = connections
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._retries = retries
        self._lock = threading.Lock()
        self._managers: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._context: ssl.SSLContext | None = None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | RawIOBase | None = None) -> Answer:
        """One request; a body that is a file is sent from where it is. Raises OSError, HubError."""
        start = body.tell() if isinstance(body, RawIOBase) else 0
        try:
            return self._exchange(method, url, headers, body)
        except _STALE:
            # The server closed a connection that lay idle: that says nothing about this request.
            if isinstance(body, RawIOBase):
                body.seek(start)
            return self._exchange(method, url, headers, body)

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | RawIOBase | None) -> Answer:
        try:
            with _DISCREET.sending():
                response = self._manager(url).urlopen(
                    method, url, body=body, redirect=bool(self._retries), headers=dict(headers), retries=self._retries,
                    timeout=self._timeout, preload_content=False, decode_content=False,
                )  # fmt: skip
            assert isinstance(response, urllib3.HTTPResponse)
            return Answer(url, response)
        except (HTTPError, OSError) as error:
            raise _cause(error) from error

    def _manager(self, url: str) -> urllib3.PoolManager:
        parts = urllib3.util.parse_url(url)
        scheme, place = parts.scheme or "http", parts.netloc or ""
        with self._lock:
            manager = self._managers.get((scheme, place))
            if manager is None:
                proxy = _proxy(scheme, parts.host or "", parts.port or _PORTS.get(scheme, 0))
                if self._context is None and (self._retries or "https" in (scheme, proxy and proxy.scheme)):
                    self._context = tls_context()
                manager = self._managers[scheme, place] = self._new_manager(proxy)
            return manager

    def _new_manager(self, proxy: urllib3.util.Url | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(maxsize=self._connections, ssl_context=self._context, blocksize=_BLOCK)
        login = {}
        if proxy.auth is not None:
            user, _, password = proxy.auth.partition(":")
            secret = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
            login["Proxy-Authorization"] = f"Basic {secret}"
        return urllib3.ProxyManager(
            f"{proxy.scheme}://{proxy.netloc}",
            proxy_headers=login,
            proxy_ssl_context=self._context,
            maxsize=self._connections,
            ssl_context=self._context,
            blocksize=_BLOCK,
        )


def _proxy(scheme: str, host: str, port: int) -> urllib3.util.Url | None:
    """The environment's proxy: ``https_proxy``, ``http_proxy``, ``all_proxy``; None for a host of ``no_proxy``."""
    proxies = getproxies()
    setting = proxies.get(scheme) or proxies.get("all")
    if not setting or proxy_bypass(f"{host}:{port}"):
        return None
    with contextlib.suppress(LocationParseError):
        proxy = urllib3.util.parse_url(setting if "://" in setting else f"http://{setting}")
        if proxy.scheme in ("http", "https") and proxy.host:
            return proxy
    raise HubError(
        f"expected an http:// or https:// proxy, found another kind\n  {scheme}_proxy",
        hint=f"set {scheme}_proxy to http://HOST:PORT, or add {host} to no_proxy",
    )


def failure(error: OSError) -> str:
    """Why a request failed, in words; no address, since some are signed."""
    match error:
        case socket.gaierror():
            return "the name cannot be resolved"
        case ConnectionRefusedError():
            return "it refuses connections"
        case TimeoutError():
            return "it does not answer"
        case ssl.SSLCertVerificationError():
            return f"its certificate cannot be verified ({error.verify_message})"
        case ConnectionError():
            return "the connection broke off"
    return error.strerror or type(error).__name__


def is_unknown_name(error: BaseException) -> bool:
    """Whether the resolver says that there is no such name, where a network that is away has it say: try again."""
    return isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)


def ca_bundle() -> tuple[str, str] | None:
    """The variable that names certificates of one's own, and its value; None when none does."""
    return next(((name, os.environ[name]) for name in _BUNDLES if os.environ.get(name)), None)


def tls_context() -> ssl.SSLContext:
    """Verifies servers by that bundle (a file or directory), else by the machine's certificates, else by certifi's."""
    bundle = ca_bundle()
    if bundle is not None:
        name, place = bundle
        try:
            if Path(place).is_dir():
                return ssl.create_default_context(capath=place)
            return ssl.create_default_context(cafile=place)
        except OSError as error:
            raise HubError(
                f"the certificates cannot be read: {error.strerror or error}\n  {name}={place}",
                hint=f"give {name} a PEM file, or unset it",
            ) from None
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        with contextlib.suppress(ImportError):
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context


def _cause(error: BaseException) -> OSError:
    """The system's error under urllib3's."""
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, OSError):
            return beneath
        beneath = beneath.__cause__ or beneath.__context__
    return BrokenAnswerError(type(error).__name__)
