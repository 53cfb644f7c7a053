"""Builds small model files as bytes, independently of the code that reads them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping

from hf_pack.weights.safetensors import Header, parse_header

WIDTHS = {"F8_E4M3": 1, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "F32": 4, "I32": 4, "I64": 8, "F8_E8M0": 1}


def header_bytes(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, int]:
    """(header JSON, file size) of a file with these (name, dtype, shape), laid out in the given order."""
    document: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    at = 0
    for name, dtype, shape in tensors:
        size = WIDTHS[dtype]
        for length in shape:
            size *= length
        document[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(document).encode()
    return header, 8 + len(header) + at


def header(*tensors: tuple[str, str, tuple[int, ...]], metadata: Mapping[str, str] | None = None) -> Header:
    """The parsed header of such a file."""
    return parse_header(*header_bytes(tensors, metadata))


def gguf_string(text: str | bytes) -> bytes:
    """u64 length and bytes."""
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def gguf_pair(key: str, kind: int, value: bytes) -> bytes:
    """One key, its type number and its encoded value."""
    return gguf_string(key) + struct.pack("<I", kind) + value


def gguf_file(*pairs: bytes, version: int = 3, tensors: int = 0, count: int | None = None) -> bytes:
    """A GGUF header with these pairs."""
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs) if count is None else count) + b"".join(pairs)
