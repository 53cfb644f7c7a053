"""The safetensors header: which tensors a file holds and where.

Format (huggingface/safetensors README, "Format"): 8 bytes little-endian length N, N bytes of JSON, then the
data. Offsets count from the data's first byte; tensors lie back to back and fill the file to its last byte.
What the reference library refuses is refused here, and duplicate keys too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hf_pack.weights.strict_json import JsonValue, kind_of, loads_object, whole
from hf_pack.weights.weights_error import HeaderError, shorten

HEADER_LIMIT = 100_000_000
"""Bytes; the reference library's own limit for N."""

PREFIX_SIZE = 8

DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "C64": 64,
}
"""Bits one element takes, by the format's name of the type."""

_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One entry of the header. ``begin`` and ``end`` are bytes from the start of the data section."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def parameters(self) -> int:
        """Elements: the product of the shape, 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of data."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A whole header: tensors sorted by name, ``__metadata__`` sorted by key, sizes in bytes."""

    tensors: tuple[Tensor, ...]
    metadata: tuple[tuple[str, str], ...]
    data_offset: int
    file_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDiff:
    """One tensor that two models do not share. ``dtype`` wins where the shape changed with it (packing)."""

    name: str
    kind: Literal["added", "removed", "dtype", "shape"]
    old: Tensor | None
    new: Tensor | None


def header_length(prefix: bytes, file_size: int) -> int:
    """N, from the file's first 8 bytes (all of them, if it has fewer). Raises HeaderError."""
    if file_size == 0:
        raise HeaderError("file: expected a safetensors header, found an empty file")
    if prefix.startswith(b"version "):
        raise HeaderError("file: expected a safetensors header, found a git-lfs pointer (the weights are not here)")
    if file_size < PREFIX_SIZE + 2 or len(prefix) < PREFIX_SIZE:
        raise HeaderError(f"file: expected at least 10 bytes, found {file_size}")
    length = int.from_bytes(prefix[:PREFIX_SIZE], "little")
    if length > HEADER_LIMIT:
        raise HeaderError(f"header length: expected at most {HEADER_LIMIT} bytes, found {length} (no safetensors file)")
    if length < 2:
        raise HeaderError(f"header length: expected at least 2 bytes, found {length}")
    if PREFIX_SIZE + length > file_size:
        raise HeaderError(
            f"header: the file is truncated, expected {PREFIX_SIZE + length} bytes or more, found {file_size}"
        )
    return length


def parse_header(header: bytes, file_size: int) -> Header:
    """The tensors named in ``header`` (the N bytes after the length); ``file_size`` in bytes is the file's.

    Raises HeaderError: not a JSON object, an unknown dtype, a shape that does not fill its span, tensors that
    overlap or leave a hole, or a file shorter (truncated) or longer than its last tensor.
    """
    if not header.startswith(b"{"):
        raise HeaderError(f"header: expected '{{' in its first byte, found {header[:1]!r}")
    document = loads_object(header)
    metadata = _metadata(document.pop("__metadata__", None))
    tensors = [_tensor(name, entry) for name, entry in document.items()]
    data_offset = PREFIX_SIZE + len(header)
    _check_layout(tensors, file_size - data_offset)
    return Header(
        tensors=tuple(sorted(tensors, key=lambda tensor: tensor.name)),
        metadata=metadata,
        data_offset=data_offset,
        file_size=file_size,
    )


def compare(old: Iterable[Header], new: Iterable[Header]) -> tuple[TensorDiff, ...]:
    """How two models (all shards of each) differ by name, dtype and shape, by name; data is not compared."""
    before = {tensor.name: tensor for header in old for tensor in header.tensors}
    after = {tensor.name: tensor for header in new for tensor in header.tensors}
    found = []
    for name in sorted(before.keys() | after.keys()):
        left, right = before.get(name), after.get(name)
        kind = _difference(left, right)
        if kind is not None:
            found.append(TensorDiff(name=name, kind=kind, old=left, new=right))
    return tuple(found)


def _difference(old: Tensor | None, new: Tensor | None) -> Literal["added", "removed", "dtype", "shape"] | None:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    if old.dtype != new.dtype:
        return "dtype"
    return "shape" if old.shape != new.shape else None


def _metadata(value: JsonValue) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise HeaderError(f"__metadata__: expected an object, found {kind_of(value)}")
    pairs = []
    for key, text in sorted(value.items()):
        if not isinstance(text, str):
            raise HeaderError(f"__metadata__.{shorten(key)}: expected a string, found {kind_of(text)}")
        pairs.append((key, text))
    return tuple(pairs)


def _tensor(name: str, entry: JsonValue) -> Tensor:
    where = f"tensor {shorten(name)}"
    if not isinstance(entry, dict):
        raise HeaderError(f"{where}: expected an object, found {kind_of(entry)}")
    dtype = entry.get("dtype")
    if not isinstance(dtype, str):
        raise HeaderError(f"{where}.dtype: expected a string, found {kind_of(dtype)}")
    bits = DTYPE_BITS.get(dtype)
    if bits is None:
        raise HeaderError(f"{where}.dtype: expected a dtype of the format, found {shorten(dtype)}")
    shape = _sizes(entry.get("shape"), f"{where}.shape")
    offsets = _sizes(entry.get("data_offsets"), f"{where}.data_offsets")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise HeaderError(f"{where}.data_offsets: expected [begin, end] with begin <= end, found {list(offsets)}")
    needed = _bits_of(shape, bits, where)
    span = offsets[1] - offsets[0]
    if needed % 8 or needed // 8 != span:
        raise HeaderError(
            f"{where}: expected {needed / 8:g} bytes for {dtype} {list(shape)}, found {span} in data_offsets"
        )
    return Tensor(name=name, dtype=dtype, shape=shape, begin=offsets[0], end=offsets[1])


def _sizes(value: JsonValue, where: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise HeaderError(f"{where}: expected a list of integers, found {kind_of(value)}")
    numbers = []
    for item in value:
        number = whole(item)
        if number is None or not 0 <= number < _LARGEST:
            raise HeaderError(f"{where}: expected integers from 0 to 2^63-1, found {shorten(str(item))}")
        numbers.append(number)
    return tuple(numbers)


def _bits_of(shape: tuple[int, ...], bits: int, where: str) -> int:
    # Step by step, the width last: the library multiplies so in 64 bits and refuses an overflow, even before a 0.
    total = 1
    for size in (*shape, bits):
        total *= size
        if total >= 1 << 64:
            raise HeaderError(f"{where}.shape: the product is over 2^64 bits")
    return total


def _check_layout(tensors: list[Tensor], data_size: int) -> None:
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != end:
            problem = "overlaps the tensor before it" if tensor.begin < end else "leaves a hole before it"
            raise HeaderError(f"tensor {shorten(tensor.name)}: {problem}, expected begin {end}, found {tensor.begin}")
        end = tensor.end
    if end > data_size:
        raise HeaderError(f"data: the file is truncated, expected {end} bytes of data, found {data_size}")
    if end < data_size:
        raise HeaderError(f"data: expected {end} bytes of data, found {data_size} (trailing bytes)")
