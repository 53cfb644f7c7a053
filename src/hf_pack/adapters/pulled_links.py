"""The links that keep pulled packages: one for each, in this user's state, or where a person wants it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hf_pack import durable
from hf_pack.errors import UsageError
from hf_pack.formats import nix32
from hf_pack.formats.store_path import StorePath


def usual_place(directory: Path, store_url: str, store_path: StorePath) -> Path:
    """``<directory>/<store>/<base name>``: the same package in two stores is kept in both."""
    store = nix32.encode(hashlib.sha256(store_url.encode()).digest()[:5])
    return directory / store / store_path.base_name


def make_link(place: Path, target: Path) -> Path:
    """Make ``place`` a link to ``target``; returns it, absolute. Raises UsageError when something else is there."""
    place = place.absolute()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.replace_symlink(place, target)
    except FileExistsError:
        raise UsageError(f"{place} is there and is no link", hint="name another place with --root") from None
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}", hint="name another place with --root") from None
    return place
