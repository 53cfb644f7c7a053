"""Where the bytes of a blob are just now: the Hub's answer for a file at a commit, held against the lock."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hf_pack.adapters.hub.hub_errors import Place, hub_error
from hf_pack.adapters.hub.origin import redirected
from hf_pack.adapters.hub.web import Web
from hf_pack.ports import WantedBlob

_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """``url`` is signed where it is a CDN's, so it shows in no repr. ``xet_hash`` is 64 hex digits or None."""

    url: str = field(repr=False)
    xet_hash: str | None


def locate(web: Web, wanted: WantedBlob, place: Place) -> Location:
    """One HEAD request. Raises HubError, also when the Hub now has other bytes there; Transient."""
    url = web.resolve_url(str(wanted.repo_id), wanted.commit_hash, wanted.path)
    answer = web.ask("HEAD", url, {}, place, stay_on_origin=True)
    if answer.status >= 300 and "Location" not in answer.headers:
        raise web.refused(answer, place)
    answer.close()
    headers, location = answer.headers, answer.headers.get("Location")
    size = headers.get("X-Linked-Size") or (None if location else headers.get("Content-Length"))
    _compare(place, "sha256", wanted.blob.sha256.hex(), _sha256(headers.get("X-Linked-Etag") or headers.get("ETag")))
    _compare(place, "size", str(wanted.blob.size), size if size and size.isdigit() else None)
    return Location(
        url=answer.url if location is None else redirected(answer.url, location),
        xet_hash=_sha256(headers.get("X-Xet-Hash")),
    )


class Link:
    """The location that all connections of one blob share; asked for when it is first needed or has expired."""

    def __init__(self, locate: Callable[[], Location]) -> None:
        self._locate = locate
        self._lock = threading.Lock()
        self._url: str | None = None

    def url(self) -> str:
        """Where to ask. Raises what :func:`locate` raises."""
        with self._lock:
            if self._url is None:
                self._url = self._locate().url
            return self._url

    def expired(self, url: str) -> None:
        """``url`` gives nothing any more; the next caller asks anew, unless another already has."""
        with self._lock:
            if self._url == url:
                self._url = None


def _sha256(text: str | None) -> str | None:
    """64 hex digits out of an etag, None for anything else (a git blob id, a redacted hash)."""
    bare = (text or "").removeprefix("W/").strip('"').lower()
    return bare if _HEX64.fullmatch(bare) else None


def _compare(place: Place, what: str, expected: str, found: str | None) -> None:
    if found is not None and found != expected:
        raise hub_error(
            "the Hub has other bytes there than the lock",
            place,
            detail=f"expected {what} {expected}, found {found}",
            hint="if HF_ENDPOINT names a mirror, try without it; else lock anew: hf-pack lock",
        )
