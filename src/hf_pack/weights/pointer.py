"""git-lfs pointer files: the small text that stands where a clone did not fetch the content.

Format: the git-lfs specification (docs/spec.md): ``key value`` lines, ``version`` first, under 1024 bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

POINTER_LIMIT = 1024
"""Bytes; a larger file is no pointer."""

_VERSIONS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,19})\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LfsPointer:
    """What the pointer promises: sha256 (64 lower-case hex digits) and size (bytes) of the content."""

    sha256: str
    size: int


def parse_pointer(data: bytes) -> LfsPointer | None:
    """The pointer in ``data`` (a whole file), or None where it is ordinary content. CRLF is tolerated."""
    if len(data) > POINTER_LIMIT or not data.startswith(_VERSIONS):
        return None
    oid, size = _OID.search(data), _SIZE.search(data)
    if oid is None or size is None:
        return None
    return LfsPointer(sha256=oid[1].decode("ascii"), size=int(size[1]))
