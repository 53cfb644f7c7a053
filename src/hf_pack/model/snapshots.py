"""Snapshot ids for models that nobody gave one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hf_pack.model.lock import FileDigest

_DOMAIN = b"hf-pack snapshot 1\0"


def content_id(files: Iterable[tuple[str, FileDigest]]) -> str:
    """40 lower-case hex digits that follow from the files alone: equal models have equal ids everywhere.

    ``files`` are paths (relative, without NUL) and the digests of the source's own bytes, before any patch;
    their order does not matter. The id is the start of the sha256 over ``hf-pack snapshot 1``, NUL, and for
    each file, by path, ``<path> NUL <size in decimal> NUL <sha256 as hex> NUL``. It never changes for equal
    files: published packages depend on it.
    """
    digest = hashlib.sha256(_DOMAIN)
    for path, file in sorted(files):
        digest.update(f"{path}\0{file.size}\0{file.sha256.hex()}\0".encode())
    return digest.hexdigest()[:40]
