"""Reads the headers of weight files through a source: only as many bytes as they take."""

from __future__ import annotations

from hf_pack.ports import Source, SourceFile
from hf_pack.weights.gguf import GgufHeader, NeedMoreBytes, parse_prefix
from hf_pack.weights.safetensors import PREFIX_SIZE, Header, header_length, parse_header
from hf_pack.weights.weights_error import HeaderError

_FIRST_READ = 65_536  # bytes; holds the header of most shards, so that they take one read
_FIRST_GGUF_READ = 1 << 20


def safetensors_header(source: Source, file: SourceFile) -> Header:
    """The header of one file. Raises HeaderError (truncated, malformed, trailing bytes) and SourceError."""
    prefix = source.read(file.path, size=_FIRST_READ)
    end = PREFIX_SIZE + header_length(prefix[:PREFIX_SIZE], file.size)
    if end > len(prefix):
        prefix = source.read(file.path, size=end)
    return parse_header(prefix[PREFIX_SIZE:end], file.size)


def gguf_header(source: Source, file: SourceFile) -> GgufHeader:
    """The header of one file. Raises HeaderError (truncated, malformed) and SourceError."""
    size = _FIRST_GGUF_READ
    while True:
        try:
            return parse_prefix(source.read(file.path, size=size))
        except NeedMoreBytes as more:
            if more.minimum > file.size:
                raise HeaderError(
                    f"header: the file is truncated, expected {more.minimum} bytes or more, found {file.size}"
                ) from None
            size = max(more.minimum, 2 * size)
