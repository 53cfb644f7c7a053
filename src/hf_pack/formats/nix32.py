"""Nix's own base 32, in which store paths and hashes are written.

The alphabet leaves out e, o, t and u. The bytes are read as one little-endian number, whose most
significant digit is written first; this is neither RFC 4648 nor Crockford. (Nix: ``printHash32``.)
"""

from __future__ import annotations

from hf_pack.formats.format_error import FormatError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def encoded_length(n: int) -> int:
    """Return the number of characters that ``n`` bytes become."""
    return (n * 8 + 4) // 5


def encode(data: bytes) -> str:
    """Return the text of ``data``; ``decode(encode(data)) == data``."""
    number = int.from_bytes(data, "little")
    return "".join(ALPHABET[number >> 5 * i & 31] for i in reversed(range(encoded_length(len(data)))))


def decode(text: str) -> bytes:
    """Return the bytes of ``text``; ``encode(decode(text)) == text``.

    Raises ``FormatError`` for a character outside the alphabet, for a length that no number of bytes has
    and for padding bits that are not zero, so that no two texts mean the same bytes.
    """
    size = len(text) * 5 // 8
    if encoded_length(size) != len(text):
        raise FormatError(f"no nix32 text has {len(text)} characters: {text[:100]!r}")
    number = 0
    for character in text:
        value = _VALUES.get(character)
        if value is None:
            raise FormatError(f"{character!r} is not in the nix32 alphabet: {text[:100]!r}")
        number = number << 5 | value
    if number >> size * 8:
        raise FormatError(f"nix32 text has padding bits that are not zero: {text[:100]!r}")
    return number.to_bytes(size, "little")
