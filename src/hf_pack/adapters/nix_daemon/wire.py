"""The worker protocol's encoding: numbers, texts and lists of texts, as bytes and back (Nix's ``serialise.hh``).

Every number is an unsigned 64-bit little-endian one. A text is its length, its bytes, and zero bytes up to a multiple
of 8; a list is its length and its items. Round trips: ``Decoder`` reads back what ``number``, ``text`` and ``texts``
write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hf_pack.formats.nar import token

#: The longest text and list that are believed: a peer that says more is not one of this protocol.
MOST_BYTES = 64 << 20
MOST_ITEMS = 16 << 20

_LARGEST = (1 << 64) - 1


class WireError(Exception):
    """The bytes are not of this protocol."""


def number(value: int) -> bytes:
    """Eight bytes. Raises OverflowError for what does not fit."""
    return value.to_bytes(8, "little")


def text(value: str | bytes) -> bytes:
    """A text with its length and padding."""
    return token(value.encode() if isinstance(value, str) else value)


def texts(values: Iterable[str]) -> bytes:
    """A list of texts."""
    items = [text(value) for value in values]
    return number(len(items)) + b"".join(items)


def frame_header(size: int) -> bytes:
    """What comes before ``size`` bytes of a framed stream; a frame of no bytes ends the stream."""
    return number(size)


class Decoder:
    """Reads values from ``receive``, which gives exactly as many bytes as it is asked for."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive

    def number(self, most: int = _LARGEST) -> int:
        """A number. Raises WireError when it is more than ``most``."""
        value = int.from_bytes(self._receive(8), "little")
        if value > most:
            raise WireError(f"a number of at most {most:,} was expected, {value:,} came")
        return value

    def boolean(self) -> bool:
        """A number that says yes or no."""
        return self.number() != 0

    def text(self) -> str:
        """A text; bytes that are no UTF-8 are kept as surrogates. Raises WireError for an impossible length."""
        size = self.number(MOST_BYTES)
        data = self._receive(size + -size % 8)
        if any(data[size:]):
            raise WireError("the padding of a text is not zero")
        return data[:size].decode("utf-8", "surrogateescape")

    def texts(self) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self.text() for _ in range(self.number(MOST_ITEMS)))
