"""Which proxy stands before a server: the environment's, as the Hub's client reads it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from hf_pack.adapters.hub.origin import Origin
from hf_pack.errors import HubError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy; ``authorization`` is the header it wants, None without a password."""

    host: str
    port: int
    authorization: str | None = field(repr=False)


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy for ``origin`` (``https_proxy``, ``http_proxy``, ``all_proxy``), None for a host of ``no_proxy``."""
    proxies = getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        raise HubError(
            f"expected an http:// proxy, found another kind\n  {origin.scheme}_proxy",
            hint=f"set {origin.scheme}_proxy to http://HOST:PORT, or add {origin.host} to no_proxy",
        )
    authorization = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(login.encode()).decode("ascii")
    return Proxy(host=host, port=port, authorization=authorization)
