"""Recognises pickled weights by content, whatever they are called: loading a pickle runs its code."""

from __future__ import annotations

import pickletools

SIGN_SIZE = 512
"""Bytes of the start of a file that decide."""

_OPCODES = frozenset(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
_PROTOCOLS = frozenset({2, 3, 4, 5})
_ZIP = b"PK\x03\x04"


def looks_like_pickle(prefix: bytes) -> bool:
    """Whether a file that starts with ``prefix`` (512 bytes or all of it) is pickle, or a container of it.

    True for pickle protocol 2 and later (which legacy ``torch.save`` files also start with), for a zip whose
    first member is a ``.pkl`` (``torch.save`` since 1.6), and for tar (``torch.save`` before 0.2, ``.nemo``).
    Protocols 0 and 1 have no sign of their own and are not found.
    """
    if prefix.startswith(_ZIP):
        name_size = int.from_bytes(prefix[26:28], "little")
        return prefix[30 : 30 + name_size].endswith(b".pkl")
    if prefix[257:262] == b"ustar":
        return True
    if len(prefix) < 3 or prefix[0] != 0x80 or prefix[1] not in _PROTOCOLS or prefix[2:3] not in _OPCODES:
        return False
    return not _is_safetensors(prefix)


def _is_safetensors(prefix: bytes) -> bool:
    # A safetensors header of the right length also starts with 0x80 and a small byte.
    return prefix[4:8] == bytes(4) and prefix[8:9] == b"{"
