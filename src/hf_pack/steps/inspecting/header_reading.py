"""Reads the headers of weight files through a source: only as many bytes as they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hf_pack.model.weight_formats import WeightFormat, weight_format
from hf_pack.ports import Source, SourceFile
from hf_pack.weights.gguf import GgufHeader, NeedMoreBytes, parse_prefix
from hf_pack.weights.pickle_sign import SIGN_SIZE
from hf_pack.weights.pointer import POINTER_LIMIT
from hf_pack.weights.safetensors import PREFIX_SIZE, Header, header_length, parse_header
from hf_pack.weights.weights_error import HeaderError

_FIRST_READ = 65_536  # bytes; holds the header of most shards, so that they take one read
_FIRST_GGUF_READ = 1 << 20
_SIGN = max(POINTER_LIMIT, SIGN_SIZE)  # bytes that tell a pickle or a pointer


def first_read(file: SourceFile) -> int | None:
    """How many bytes of a file are read first to look into it; None for all."""
    weights = weight_format(file.path)
    if weights is not None and weights.is_safetensors:
        return _FIRST_READ
    if weights is WeightFormat.GGUF:
        return _FIRST_GGUF_READ
    return _SIGN if file.sha256 is not None and not file.path.lower().endswith(".json") else None


def header_reads(source: Source, files: Iterable[SourceFile]) -> list[tuple[str, int | None]]:
    """The reads that the longer safetensors headers take beyond :func:`first_read`."""
    reads: list[tuple[str, int | None]] = []
    for file in files:
        if first_read(file) != _FIRST_READ:
            continue
        try:
            end = PREFIX_SIZE + header_length(source.read(file.path, size=PREFIX_SIZE), file.size)
        except HeaderError:
            continue  # reported when the header is parsed
        if end > _FIRST_READ:
            reads.append((file.path, end))
    return reads


def safetensors_header(source: Source, file: SourceFile) -> Header:
    """The header of one file. Raises HeaderError (truncated, malformed, trailing bytes) and SourceError."""
    prefix = source.read(file.path, size=_FIRST_READ)
    end = PREFIX_SIZE + header_length(prefix[:PREFIX_SIZE], file.size)
    if end > len(prefix):
        prefix = source.read(file.path, size=end)
    return parse_header(prefix[PREFIX_SIZE:end], file.size)


def gguf_header(source: Source, file: SourceFile) -> GgufHeader:
    """The header of one file. Raises HeaderError (truncated, malformed) and SourceError."""
    return read_gguf_header(lambda size: source.read(file.path, size=size), file.size)


def read_gguf_header(read: Callable[[int], bytes], file_size: int) -> GgufHeader:
    """The header of a file of which ``read`` gives the first bytes. Raises HeaderError (truncated, malformed)."""
    size = _FIRST_GGUF_READ
    while True:
        start = read(size)
        try:
            return parse_prefix(start)
        except NeedMoreBytes as more:
            there = file_size if len(start) == size else len(start)  # whoever states the size may be wrong
            if more.minimum > there:
                raise HeaderError(
                    f"header: the file is truncated, expected {more.minimum} bytes or more, found {there}"
                ) from None
            size = max(more.minimum, 2 * size)
