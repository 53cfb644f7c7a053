"""The ways in which one command has blobs from the Hub and its mirrors, with one set of limits over them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from hf_pack.adapters.hub.http_parts import HubHttp
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.origin import origin_of, without_secrets
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.web import Web
from hf_pack.adapters.hub.xet_stream import HubXet
from hf_pack.errors import HubError, UsageError
from hf_pack.ports import BlobSource


def hub_transports(
    settings: HubSettings, limits: Limits, mirrors: Iterable[str] = (), note: Callable[[str], None] = lambda _: None
) -> tuple[BlobSource, ...]:
    """Each of ``mirrors`` (endpoints, which get no token), then the Hub by HTTP, then by Xet.

    ``note`` is told when one of them asks to wait. Raises UsageError for a mirror that is no address.
    """
    web = Web(settings, limits, note)
    others = [web.beside(replace(settings, endpoint=_endpoint(mirror), token=None)) for mirror in mirrors]
    return (*(HubHttp(other) for other in others), HubHttp(web), HubXet(web))


def _endpoint(mirror: str) -> str:
    try:
        origin_of(mirror)
    except HubError:
        raise UsageError(
            "this is not the address of a mirror\n"
            f"  hf-pack.toml: mirrors: expected http(s)://HOST, found {without_secrets(mirror)!r}",
            hint="edit hf-pack.toml",
        ) from None
    return mirror.rstrip("/")
