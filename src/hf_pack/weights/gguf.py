"""The GGUF header: the facts of a model that llama.cpp's format keeps in the weights file itself.

Format (ggml docs/gguf.md): "GGUF", u32 version, u64 tensor count, u64 pair count, then the pairs: a key, a
type and a value. Versions 2 and 3 in little-endian are read. Nothing is allocated because a length says so:
a length is only ever compared with the bytes at hand.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

from hf_pack.weights.weights_error import HeaderError, shorten

METADATA_LIMIT = 256 * 1024 * 1024
"""Bytes of header before a file counts as malformed; vocabularies take some millions."""

KEY_LIMIT = 65_535
"""Bytes, from the format's own text."""

COUNT_LIMIT = 1 << 20
"""Tensors, or pairs; the largest published models have some thousands of tensors and under 100 pairs."""

SHORT_ARRAY = 16
"""Elements; a longer array (tokens, scores, merges) is kept as its type and length alone."""

_NESTING_LIMIT = 4
_MAGIC = b"GGUF"

_FILE_TYPES = (  # llama.cpp's llama_ftype by number; "-" stands for numbers that were withdrawn
    "F32 F16 Q4_0 Q4_1 Q4_1_SOME_F16 - - Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S "
    "Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16 "
    "- - - TQ1_0 TQ2_0 MXFP4_MOE NVFP4"
)

_SCALARS = {
    0: ("u8", struct.Struct("<B")),
    1: ("i8", struct.Struct("<b")),
    2: ("u16", struct.Struct("<H")),
    3: ("i16", struct.Struct("<h")),
    4: ("u32", struct.Struct("<I")),
    5: ("i32", struct.Struct("<i")),
    6: ("f32", struct.Struct("<f")),
    7: ("bool", struct.Struct("<B")),
    10: ("u64", struct.Struct("<Q")),
    11: ("i64", struct.Struct("<q")),
    12: ("f64", struct.Struct("<d")),
}
_BOOL, _STRING, _ARRAY = 7, 8, 9


class NeedMoreBytes(Exception):  # noqa: N818 - not an error: it asks the caller to read on
    """The prefix ends inside the header. ``minimum`` is how many bytes of the file are needed at the least.

    A file smaller than ``minimum`` is truncated.
    """

    def __init__(self, minimum: int) -> None:
        super().__init__(f"needs the first {minimum} bytes")
        self.minimum = minimum


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufArray:
    """An array too long to keep: its element type (``string``, ``f32`` ...) and its number of elements."""

    type: str
    length: int


GgufScalar: TypeAlias = int | float | bool | str
GgufValue: TypeAlias = "GgufScalar | tuple[GgufValue, ...] | GgufArray"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """``metadata`` in the file's order; the rest are the pairs a packager asks for, None where absent.

    ``file_type`` is llama.cpp's name of the mix (``Q4_1``, ``Q4_K_M``), ``context_length`` is tokens, and
    ``split`` is (number from 0, count) for one file of several.
    """

    version: int
    tensor_count: int
    metadata: tuple[tuple[str, GgufValue], ...]
    architecture: str | None
    name: str | None
    file_type: str | None
    context_length: int | None
    license: str | None
    split: tuple[int, int] | None


def parse_prefix(data: bytes) -> GgufHeader:
    """The header at a file's start. Raises NeedMoreBytes (prefix too short) or HeaderError (malformed)."""
    reader = _Reader(data)
    magic = reader.take(4)
    if magic != _MAGIC:
        raise HeaderError(f"magic: expected {_MAGIC!r}, found {magic!r}")
    version = reader.number("<I")
    if version not in (2, 3):
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        found = f"big-endian version {swapped}" if swapped in (2, 3) else str(version)
        raise HeaderError(f"version: expected 2 or 3, found {found}")
    tensor_count = _count(reader, "tensor count")
    metadata: dict[str, GgufValue] = {}
    for _ in range(_count(reader, "metadata count")):
        key = reader.string("key", KEY_LIMIT)
        if key in metadata:
            raise HeaderError(f"key {shorten(key)}: appears twice")
        metadata[key] = _value(reader, reader.number("<I"), key, 0)
    return _header(version, tensor_count, metadata)


class _Reader:
    """A position in the prefix; every read is checked against the end of it first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def need(self, size: int) -> int:
        """Moves past ``size`` bytes and returns where they start."""
        start, end = self.at, self.at + size
        if end > len(self.data):
            if end > METADATA_LIMIT:
                raise HeaderError(f"metadata: expected at most {METADATA_LIMIT} bytes, found a length up to {end}")
            raise NeedMoreBytes(end)
        self.at = end
        return start

    def take(self, size: int) -> bytes:
        start = self.need(size)
        return self.data[start : self.at]

    def number(self, layout: str) -> int:
        found: int = struct.unpack_from(layout, self.data, self.need(struct.calcsize(layout)))[0]
        return found

    def string(self, what: str, limit: int = METADATA_LIMIT) -> str:
        size = self.number("<Q")
        if size > limit:
            raise HeaderError(f"{what}: expected at most {limit} bytes, found {size}")
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise HeaderError(f"{what}: expected UTF-8") from None

    def skip_strings(self, count: int) -> None:
        length, data, at, left = struct.Struct("<Q").unpack_from, self.data, self.at, count
        last = len(data) - 8
        while left and at <= last:
            at += 8 + length(data, at)[0]
            left -= 1
        self.at = at
        self.need(8 * left)  # every string that is left has at least its length


def _count(reader: _Reader, what: str) -> int:
    count = reader.number("<Q")
    if count > COUNT_LIMIT:
        raise HeaderError(f"{what}: expected at most {COUNT_LIMIT}, found {count}")
    return count


def _value(reader: _Reader, kind: int, key: str, depth: int) -> GgufValue:
    if kind == _STRING:
        return reader.string(shorten(key))
    if kind == _ARRAY:
        return _array(reader, key, depth)
    if kind not in _SCALARS:
        raise HeaderError(f"key {shorten(key)}: expected a value type from 0 to 12, found {kind}")
    layout = _SCALARS[kind][1]
    number: GgufScalar = layout.unpack_from(reader.data, reader.need(layout.size))[0]
    if kind != _BOOL:
        return number
    if number not in (0, 1):
        raise HeaderError(f"key {shorten(key)}: expected a bool of 0 or 1, found {number}")
    return bool(number)


def _array(reader: _Reader, key: str, depth: int) -> GgufValue:
    if depth == _NESTING_LIMIT:
        raise HeaderError(f"key {shorten(key)}: arrays nested more than {_NESTING_LIMIT} deep")
    kind = reader.number("<I")
    length = reader.number("<Q")
    if length <= SHORT_ARRAY:
        return tuple(_value(reader, kind, key, depth + 1) for _ in range(length))
    if kind == _STRING:
        reader.skip_strings(length)
        return GgufArray(type="string", length=length)
    if kind in _SCALARS:
        name, layout = _SCALARS[kind]
        reader.need(layout.size * length)
        return GgufArray(type=name, length=length)
    raise HeaderError(f"key {shorten(key)}: expected an array of scalars or strings, found type {kind}")


def _header(version: int, tensor_count: int, metadata: dict[str, GgufValue]) -> GgufHeader:
    architecture = _text(metadata, "general.architecture")
    number, count = _whole(metadata, "split.no"), _whole(metadata, "split.count")
    return GgufHeader(
        version=version,
        tensor_count=tensor_count,
        metadata=tuple(metadata.items()),
        architecture=architecture,
        name=_text(metadata, "general.name"),
        file_type=_file_type(_whole(metadata, "general.file_type")),
        context_length=_whole(metadata, f"{architecture}.context_length"),
        license=_text(metadata, "general.license"),
        split=None if number is None or count is None or count < 2 else (number, count),
    )


def _file_type(number: int | None) -> str | None:
    if number is None:
        return None
    names = _FILE_TYPES.split()
    return names[number] if number < len(names) and names[number] != "-" else f"type {number}"


def _text(metadata: dict[str, GgufValue], key: str) -> str | None:
    value = metadata.get(key)
    return value if isinstance(value, str) else None


def _whole(metadata: dict[str, GgufValue], key: str) -> int | None:
    value = metadata.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
