"""Keys that strangers name: a narinfo's URL must not lead out of the cache that it lies in."""

from __future__ import annotations

from hf_pack.errors import HubError
from hf_pack.model.file_names import shown


def require_inside(cache: str, key: str) -> None:
    """Raise HubError for a key with parts that lead up, or nowhere."""
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise leads_out(cache, key)


def leads_out(cache: str, key: str) -> HubError:
    """The error that names the cache and the key."""
    return HubError(f"{cache}: a narinfo leads out of the cache: {shown(key)}")
