"""A web server as object storage: read by any, written where it takes ``PUT`` (WebDAV, many artifact servers)."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Self
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from urllib3 import Retry

from hf_pack.adapters.object_storage.keys import leads_out
from hf_pack.errors import HubError
from hf_pack.ports import SMALL, Progress, Readable
from hf_pack.web_bodies import Stretch, received
from hf_pack.web_pool import Answer, WebPool, failure, is_unknown_name

_TRIES = 5  #: in a row that bring nothing
_MAY_PASS = (429, 500, 502, 503, 504)
_CONNECTIONS = 16
_NOT_THERE = (403, 404, 410)
_KEY_CHARACTERS = "!$&'()*,/:;=@~"  #: "+" is a space to some servers, so it is written otherwise
_URL_CHARACTERS = _KEY_CHARACTERS + "#%?"  #: a narinfo's URL is one already


class _Retry(Retry):
    """A name that nobody knows is not asked for again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Self:
        if error is not None and error.__cause__ is not None and is_unknown_name(error.__cause__):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class WebStorage:
    """Implements :class:`hf_pack.ports.ObjectStorage`. It cannot list, and an interrupted upload begins anew."""

    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        user, _, place = parts.netloc.rpartition("@")
        self._base = urlunsplit(parts._replace(netloc=place)).rstrip("/") + "/"
        self._login = {} if not user else {"Authorization": f"Basic {_basic(user)}"}
        self._name = name
        # What a cache asks to wait is not heeded: the next place may have the object at once.
        retries = _Retry(
            _TRIES,
            backoff_factor=0.2,
            status_forcelist=_MAY_PASS,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._pool = WebPool(connections=_CONNECTIONS, connect_seconds=10, read_seconds=15, retries=retries)

    @property
    def name(self) -> str:
        """The URL without user, password and query."""
        return self._name

    def size_of(self, key: str) -> int | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        with closing(self._send("HEAD", key)) as answer:
            if answer.status in _NOT_THERE:
                return None
            self._check(answer, key, 200)
            return int(answer.headers.get("Content-Length") or 0)

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        with closing(self._send("GET", key)) as answer:
            try:
                data = answer.read(limit + 1)  # of an error, too: the connection stays usable so
            except OSError as error:
                raise self._failed(key, error) from None
            if answer.status in _NOT_THERE:
                return None
            self._check(answer, key, 200)
            if len(data) > limit:
                raise HubError(f"{self._name}: {key}: is larger than {limit} bytes")
            return data

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[memoryview]:
        """Goes on after a broken connection from where it broke, as long as every try brings something."""

        def ask(wanted: str) -> Answer:
            answer = self._send("GET", key, {"Range": wanted}, safe=_URL_CHARACTERS)
            if answer.status != 206:  # a server without ranges sends the whole file
                self._check(answer, key, 200)
            return answer

        yield from received(ask, f"{self._name}: {key}", offset, size, tries=_TRIES)

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """See :class:`hf_pack.ports.ObjectStorage`. A server that knows no ``If-None-Match`` is asked before."""
        if not replace and self.size_of(key) is not None:
            return False
        headers = {} if replace else {"If-None-Match": "*"}
        with closing(self._send("PUT", key, headers, contents)) as answer:
            if not replace and answer.status in (409, 412):
                return False
            self._check_written(answer, key)
            return True

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.ObjectStorage`. As one request."""
        body = Stretch(contents, 0, contents.size, progress.advance)
        with closing(self._send("PUT", key, {"Content-Length": str(contents.size)}, body)) as answer:
            self._check_written(answer, key)
        return body.sent

    def keys(self, prefix: str) -> None:  # noqa: ARG002 - the port names it
        """A web server does not list."""
        return

    def _check(self, answer: Answer, key: str, expected: int) -> None:
        if answer.status != expected:
            raise HubError(f"{self._name}: {key}: HTTP {answer.status}")

    def _check_written(self, answer: Answer, key: str) -> None:
        if answer.status not in (200, 201, 202, 204):
            raise HubError(
                f"{self._name}: {key}: it cannot be written: HTTP {answer.status}",
                hint="does this server take PUT here, and from you? a user goes into the URL: https://USER:PASSWORD@…",
            )

    def _send(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | io.RawIOBase | None = None,
        *,
        safe: str = _KEY_CHARACTERS,
    ) -> Answer:
        try:
            return self._pool.send(method, self._url(key, safe), {**self._login, **(headers or {})}, body)
        except OSError as error:
            raise self._failed(key, error) from None

    def _url(self, key: str, safe: str) -> str:
        # A narinfo is a stranger's: it must not have this machine ask others, which may be inside its own network.
        try:
            url = urljoin(self._base, quote(key, safe=safe))
        except ValueError:
            url = ""
        if not url.startswith(self._base):
            raise leads_out(self._name, key)
        return url

    def _failed(self, key: str, error: OSError) -> HubError:
        return HubError(f"{self._name}: {key}: {failure(error)}", hint="is the URL right, and the cache reachable?")


def _basic(user: str) -> str:
    """``user:password`` of a URL as the header has it (RFC 7617)."""
    name, _, password = user.partition(":")
    return base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode("ascii")
