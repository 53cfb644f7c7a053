"""What a store knows of one valid path."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInfo:
    """A row of Nix's ``ValidPaths`` with its references.

    ``nar_size`` is in bytes, ``registration_time`` in seconds since the epoch, ``content_address`` as Nix writes
    it (``fixed:sha256:…``, ``fixed:r:sha256:…``) or None for a path that is not content-addressed. ``signatures``
    (``<key name>:<base 64>``) came with it; a store that checked them before does not check them again.
    """

    store_path: StorePath
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...] = ()
    content_address: str | None = None
    registration_time: int = 0
    signatures: tuple[str, ...] = ()
