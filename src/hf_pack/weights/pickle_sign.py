"""Recognises pickled weights by content, whatever they are called: loading a pickle runs its code."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator

SIGN_SIZE = 512
"""Bytes of the start of a file that decide."""

_OPCODES = frozenset(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
_PROTOCOLS = frozenset({2, 3, 4, 5})
_ZIP = b"PK\x03\x04"
_ZIP_HEADER = 30  #: bytes before a member's name (PKWARE's APPNOTE, 4.3.7)
#: What `torch.save` puts beside its pickle, below one directory (caffe2/serialize/inline_container.cc and
#: torch/serialization.py).
_TORCH_MEMBER = re.compile(
    rb"[^/]+/(?:data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)


def looks_like_pickle(prefix: bytes) -> bool:
    """Whether a file that starts with ``prefix`` (512 bytes or all of it) is pickle, or a container of it.

    True for pickle protocol 2 and later (which legacy ``torch.save`` files also start with), for a zip with a
    ``.pkl`` or another member of ``torch.save``'s (since 1.6) among those that begin in ``prefix``, and for tar
    (``torch.save`` before 0.2, ``.nemo``). Protocols 0 and 1 are text and opcodes without a sign of their own: they
    are not found.
    """
    if prefix.startswith(_ZIP):
        return any(name.endswith(b".pkl") or _TORCH_MEMBER.fullmatch(name) for name in _zip_names(prefix))
    if prefix[257:262] == b"ustar":
        return True
    if len(prefix) < 3 or prefix[0] != 0x80 or prefix[1] not in _PROTOCOLS or prefix[2:3] not in _OPCODES:
        return False
    return not _is_safetensors(prefix)


def _zip_names(prefix: bytes) -> Iterator[bytes]:
    """The names in all local headers. Sizes are not followed: a writer of streams states them after the member."""
    start = prefix.find(_ZIP)
    while start >= 0:
        begin = start + _ZIP_HEADER
        yield prefix[begin : begin + int.from_bytes(prefix[start + 26 : start + 28], "little")]
        start = prefix.find(_ZIP, start + len(_ZIP))


def _is_safetensors(prefix: bytes) -> bool:
    # A safetensors header of the right length also starts with 0x80 and a small byte.
    return prefix[4:8] == bytes(4) and prefix[8:9] == b"{"
