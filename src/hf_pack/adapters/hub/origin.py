"""Origins: which server a URL names, and where a redirect may lead."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from hf_pack.errors import HubError
from hf_pack.model.file_names import shown

_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port (RFC 6454): equal origins are one server to the token."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


def origin_of(url: str) -> Origin:
    """The origin of an absolute http(s) URL. Raises HubError, whose text holds no more of the URL than its scheme."""
    try:
        parts = urlsplit(url)
        if parts.scheme in _PORTS and parts.hostname and parts.username is None:
            return Origin(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])
    except ValueError:
        pass
    scheme = url.partition(":")[0]
    found = f"{scheme}:…" if scheme.isalnum() and len(scheme) < 12 else "something else"
    raise HubError(f"expected an http or https address without a user name, found {found}")


def without_secrets(url: str) -> str:
    """What was given as an address, for a message: no user name, no password, no query."""
    return shown(re.sub(r"[^/]*@", "…@", url.partition("?")[0]))


def redirected(url: str, location: str) -> str:
    """Where a redirect leads. Raises HubError for one from https to http, or to no web address."""
    target = urljoin(url, location).partition("#")[0]
    here, there = origin_of(url), origin_of(target)
    if here.scheme == "https" and there.scheme != "https":
        raise HubError(f"a redirect leaves https: {here} answered with an address at {there}")
    return target
