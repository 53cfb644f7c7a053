from __future__ import annotations

import json
import struct

import pytest
from tests.unit.weights.model_bytes import header, header_bytes

from hf_pack.weights.safetensors import DTYPE_BITS, HEADER_LIMIT, Tensor, compare, header_length, parse_header
from hf_pack.weights.weights_error import HeaderError


def entry(dtype: str, shape: object, begin: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def parse(document: object, data_size: int) -> None:
    text = json.dumps(document).encode()
    parse_header(text, 8 + len(text) + data_size)


def test_header_length_reads_little_endian() -> None:
    assert header_length(struct.pack("<Q", 300) + b"{", 308) == 300


@pytest.mark.parametrize(
    ("prefix", "size", "message"),
    [
        (b"", 0, "found an empty file"),
        (b"1234567", 7, "expected at least 10 bytes, found 7"),
        (struct.pack("<Q", 1), 9, "expected at least 10 bytes, found 9"),
        (struct.pack("<Q", 1), 100, "expected at least 2 bytes, found 1"),
        (struct.pack("<Q", HEADER_LIMIT + 1), 1 << 40, "at most 100000000 bytes"),
        (struct.pack("<Q", 100), 107, "truncated, expected 108 bytes or more, found 107"),
        (b"version https://git-lfs", 134, "git-lfs pointer"),
        (b"<!DOCTYPE html>", 5000, "no safetensors file"),
    ],
)
def test_header_length_refuses(prefix: bytes, size: int, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        header_length(prefix, size)
    assert message in str(caught.value)


def test_the_format_limit_itself_is_allowed() -> None:
    assert header_length(struct.pack("<Q", HEADER_LIMIT), HEADER_LIMIT + 8) == HEADER_LIMIT


def test_parse_header_gives_sorted_tensors_and_offsets() -> None:
    text, size = header_bytes([("w", "BF16", (2, 3)), ("b", "F32", ())], {"format": "pt", "a": "1"})
    parsed = parse_header(text, size)
    assert parsed.tensors == (
        Tensor(name="b", dtype="F32", shape=(), begin=12, end=16),
        Tensor(name="w", dtype="BF16", shape=(2, 3), begin=0, end=12),
    )
    assert parsed.metadata == (("a", "1"), ("format", "pt"))
    assert (parsed.data_offset, parsed.file_size) == (8 + len(text), size)
    assert [(tensor.parameters, tensor.size) for tensor in parsed.tensors] == [(1, 4), (6, 12)]


def test_padding_after_the_json_is_part_of_the_header() -> None:
    text, size = header_bytes([("w", "F32", (1,))])
    assert parse_header(text + b"   ", size + 3).data_offset == 8 + len(text) + 3


def test_no_tensors_is_a_file_too() -> None:
    assert parse_header(b"{}", 10).tensors == ()
    assert parse_header(b'{"__metadata__": null}', 30).metadata == ()


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_dtype_fills_its_bits(dtype: str) -> None:
    size = DTYPE_BITS[dtype]  # 8 elements of n bits are n bytes
    parse({"w": entry(dtype, [8], 0, size)}, size)
    with pytest.raises(HeaderError, match="bytes for"):
        parse({"w": entry(dtype, [8], 0, size + 1)}, size + 1)


def test_sub_byte_types_must_end_on_a_byte() -> None:
    parse({"w": entry("F4", [2], 0, 1)}, 1)
    with pytest.raises(HeaderError, match=r"expected 1.5 bytes for F4 \[3\], found 2"):
        parse({"w": entry("F4", [3], 0, 2)}, 2)


def test_empty_tensors_share_an_offset() -> None:
    parse({"b": entry("F32", [1], 0, 4), "a": entry("F32", [0], 0, 0), "c": entry("F32", [0, 7], 4, 4)}, 4)


@pytest.mark.parametrize(
    ("document", "size", "message"),
    [
        ({"w": 3}, 0, "tensor 'w': expected an object, found a number"),
        ({"w": {}}, 0, "tensor 'w'.dtype: expected a string, found null"),
        ({"w": entry("F33", [1], 0, 4)}, 4, "found 'F33'"),
        ({"w": entry("F32", 1, 0, 4)}, 4, "tensor 'w'.shape: expected a list of integers, found a number"),
        ({"w": entry("F32", [True], 0, 4)}, 4, "expected integers"),
        ({"w": entry("F32", [-1], 0, 4)}, 4, "expected integers"),
        ({"w": entry("F32", [1.0], 0, 4)}, 4, "expected integers"),
        ({"w": entry("F32", [1 << 63], 0, 4)}, 4, "expected integers"),
        ({"w": entry("F32", [1 << 40, 1 << 40, 0], 0, 0)}, 0, "over 2^64"),
        ({"w": entry("F32", [1], 4, 0)}, 4, "begin <= end, found [4, 0]"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, 8, "begin <= end"),
        ({"w": {"dtype": "F32", "shape": [1]}}, 4, "data_offsets: expected a list"),
        ({"w": entry("F32", [2], 0, 4)}, 4, "expected 8 bytes for F32 [2], found 4"),
        ({"w": entry("F32", [1], 4, 8)}, 8, "leaves a hole before it, expected begin 0, found 4"),
        ({"v": entry("F32", [2], 0, 8), "w": entry("F32", [2], 4, 12)}, 12, "tensor 'w': overlaps"),
        ({"w": entry("F32", [1], 0, 4)}, 3, "truncated, expected 4 bytes of data, found 3"),
        ({"w": entry("F32", [1], 0, 4)}, 5, "found 5 (trailing bytes)"),
        ({"__metadata__": []}, 0, "__metadata__: expected an object, found a list"),
        ({"__metadata__": {"a": 1}}, 0, "__metadata__.'a': expected a string, found a number"),
    ],
)
def test_parse_header_refuses(document: object, size: int, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse(document, size)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b" {}", "expected '{' in its first byte"),
        (b"[]", "expected '{' in its first byte"),
        (b'{"w": 1', "line 1"),
        (b'{"w": {}, "w": {}}', 'key "w" appears twice'),
    ],
)
def test_parse_header_refuses_text(text: bytes, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_header(text, 8 + len(text))
    assert message in str(caught.value)


def test_compare_names_every_difference_once() -> None:
    old = [header(("a", "F32", (2,)), ("b", "F32", (4,))), header(("c", "F32", (2,)), ("d", "F32", (2,)))]
    new = [header(("b", "U8", (2,)), ("c", "F32", (3,)), ("d", "F32", (2,)), ("e", "F32", (1,)))]
    found = compare(old, new)
    assert [(diff.name, diff.kind) for diff in found] == [
        ("a", "removed"),
        ("b", "dtype"),
        ("c", "shape"),
        ("e", "added"),
    ]
    assert found[0].new is None
    assert found[1].old is not None
    assert found[1].old.dtype == "F32"
    assert compare(old, reversed(old)) == ()
