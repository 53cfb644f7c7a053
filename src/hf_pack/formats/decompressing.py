"""The bytes of a compressed stream, a little at a time: a few kilobytes from a stranger may stand for terabytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator

from hf_pack.formats.format_error import FormatError

METHODS = ("xz", "bzip2", "gzip")
"""What is read, as a narinfo calls it."""

_PIECE = 1 << 20
_MOST_MEMORY = 128 << 20  #: bytes for xz's dictionary; `xz -9` takes 65 MiB


def decompressed(method: str, compressed: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The stream's bytes in pieces of 1 MiB at most, whatever it holds; what follows its end is not looked at.

    ``method`` is one of :data:`METHODS`. Raises FormatError for damage, and for xz that needs more than 128 MiB.
    """
    try:
        match method:
            case "xz":
                yield from _in_steps(lzma.LZMADecompressor(memlimit=_MOST_MEMORY), compressed)
            case "bzip2":
                yield from _in_steps(bz2.BZ2Decompressor(), compressed)
            case "gzip":
                yield from _gzip(compressed)
            case _:
                raise FormatError(f"expected one of {', '.join(METHODS)}, found {method}")
    except (OSError, lzma.LZMAError, zlib.error) as error:
        raise FormatError(str(error)) from None


def _in_steps(
    decompressor: lzma.LZMADecompressor | bz2.BZ2Decompressor, compressed: Iterable[bytes | memoryview]
) -> Iterator[bytes]:
    for chunk in compressed:
        yield decompressor.decompress(chunk, _PIECE)
        while not decompressor.needs_input and not decompressor.eof:
            yield decompressor.decompress(b"", _PIECE)
        if decompressor.eof:
            return


def _gzip(compressed: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(wbits=31)
    for chunk in compressed:
        rest: bytes | memoryview = chunk
        while True:
            piece = decompressor.decompress(rest, _PIECE)
            yield piece
            rest = decompressor.unconsumed_tail
            if decompressor.eof:
                return
            if not rest and len(piece) < _PIECE:  # a full piece may have left some of its input's bytes inside
                break
