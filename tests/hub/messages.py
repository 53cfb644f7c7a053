"""A request as the server understood it, and the answer to it before anything goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.content import BytesContent, Content
from tests.hub.faults import Stage
from tests.hub.log import Origin

Header = tuple[str, str]
EMPTY = BytesContent(b"")

_RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request. ``segments`` are the path's, still quoted; header names are in lower case."""

    origin: Origin
    method: str
    target: str
    path: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """The bearer token, without the word; empty when there is none."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes."""
        return self.query.get(name, ["false"])[0].lower() in ("1", "true")

    def text(self, name: str) -> str:
        """A query parameter's first value; empty when it is not there."""
        return self.query.get(name, [""])[0]


def parse_ask(origin: Origin, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Ask:
    """A request from the parts of its head and its body."""
    parts = urlsplit(target)
    return Ask(
        origin=origin,
        method=method,
        target=target,
        path=parts.path,
        segments=tuple(parts.path.strip("/").split("/")),
        query=parse_qs(parts.query, keep_blank_values=True),
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
    )


def unquoted(segments: tuple[str, ...]) -> str:
    """A path or name from URL segments, in which a slash may itself be quoted."""
    return unquote("/".join(segments))


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The bytes ``start`` to ``stop`` of ``content``, and what the fault script is to know about them."""

    status: int
    headers: tuple[Header, ...] = ()
    content: Content = EMPTY
    start: int = 0
    stop: int = 0
    chunked: bool = False
    stages: tuple[Stage, ...] = ("api",)
    target: str = ""
    repo_id: str = ""
    file_size: int = 0


def whole(content: Content, **fields: object) -> Answer:
    """200 with all of a content."""
    answer = Answer(status=200, content=content, stop=content.size, file_size=content.size)
    return replace(answer, **fields)  # type: ignore[arg-type]


def part(answer: Answer, asked: str | None) -> Answer:
    """The part of a whole answer that a Range header asks for (RFC 9110, section 14: one range, else all of it)."""
    answer = replace(answer, headers=(*answer.headers, ("Accept-Ranges", "bytes")))
    match = _RANGE.fullmatch(asked.strip()) if asked else None
    if match is None:
        return answer
    size = answer.content.size
    first, last, suffix = match.groups()
    start = max(0, size - int(suffix)) if suffix else int(first)
    stop = min(size, int(last) + 1) if last else size
    if start >= stop:
        headers = (*answer.headers, ("Content-Range", f"bytes */{size}"))
        return replace(answer, status=416, headers=headers, content=EMPTY, start=0, stop=0)
    return replace(answer, status=206, start=start, stop=stop)


def json_answer(document: object, *headers: Header) -> Answer:
    """200 with a JSON document."""
    content = BytesContent(json.dumps(document, ensure_ascii=False).encode())
    return whole(content, headers=(("Content-Type", "application/json; charset=utf-8"), *headers))


def error_answer(status: int, message: str, code: str = "", *headers: Header) -> Answer:
    """An error as the Hub gives it: JSON, ``X-Error-Message``, and ``X-Error-Code`` when it has one."""
    codes = (("X-Error-Code", code),) if code else ()
    answer = json_answer({"error": message}, ("X-Error-Message", message), *codes, *headers)
    return replace(answer, status=status)
