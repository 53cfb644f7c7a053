from __future__ import annotations

import struct

import pytest
from tests.unit.weights.model_bytes import gguf_file, gguf_pair, gguf_string

from hf_pack.weights.gguf import COUNT_LIMIT, METADATA_LIMIT, GgufArray, NeedMoreBytes, parse_prefix
from hf_pack.weights.weights_error import HeaderError

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def text(key: str, value: str) -> bytes:
    return gguf_pair(key, STRING, gguf_string(value))


def array(key: str, kind: int, length: int, data: bytes) -> bytes:
    return gguf_pair(key, ARRAY, struct.pack("<IQ", kind, length) + data)


MODEL = gguf_file(
    text("general.architecture", "llama"),
    text("general.name", "Smol"),
    text("general.license", "apache-2.0"),
    gguf_pair("general.file_type", U32, struct.pack("<I", 3)),
    gguf_pair("llama.context_length", U32, struct.pack("<I", 8192)),
    array("tokenizer.ggml.tokens", STRING, 20, b"".join(gguf_string("t" * n) for n in range(20))),
    array("tokenizer.ggml.scores", F32, 20, bytes(80)),
    text("tokenizer.chat_template", "{{ messages }}"),
    tensors=272,
)


def test_reads_the_facts_of_a_model() -> None:
    header = parse_prefix(MODEL + b"tensor infos and data follow")
    assert (header.version, header.tensor_count) == (3, 272)
    assert (header.architecture, header.name, header.license) == ("llama", "Smol", "apache-2.0")
    assert (header.file_type, header.context_length) == ("Q4_1", 8192)
    assert header.split is None
    metadata = dict(header.metadata)
    assert metadata["tokenizer.ggml.tokens"] == GgufArray(type="string", length=20)
    assert metadata["tokenizer.ggml.scores"] == GgufArray(type="f32", length=20)
    assert header.metadata[0] == ("general.architecture", "llama")


def test_a_file_that_says_nothing() -> None:
    header = parse_prefix(gguf_file(version=2))
    assert (header.architecture, header.name, header.file_type) == (None, None, None)
    assert header.context_length is None
    assert header.version == 2


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (U8, b"\xff", 255),
        (I8, b"\xff", -1),
        (U16, b"\x01\x02", 513),
        (I16, b"\xff\xff", -1),
        (U32, b"\0\0\0\x01", 1 << 24),
        (I32, b"\xfe\xff\xff\xff", -2),
        (F32, struct.pack("<f", 0.5), 0.5),
        (BOOL, b"\x01", True),
        (BOOL, b"\x00", False),
        (STRING, gguf_string("é"), "é"),
        (U64, b"\xff" * 8, (1 << 64) - 1),
        (I64, b"\xff" * 8, -1),
        (F64, struct.pack("<d", 0.1), 0.1),
        (ARRAY, struct.pack("<IQ", STRING, 2) + gguf_string("en") + gguf_string("fr"), ("en", "fr")),
        (ARRAY, struct.pack("<IQIQ", ARRAY, 1, U8, 2) + b"\x01\x02", ((1, 2),)),
        (ARRAY, struct.pack("<IQ", U8, 16) + bytes(16), (0,) * 16),
        (ARRAY, struct.pack("<IQ", I64, 17) + bytes(17 * 8), GgufArray(type="i64", length=17)),
    ],
)
def test_reads_every_type(kind: int, data: bytes, value: object) -> None:
    (pair,) = parse_prefix(gguf_file(gguf_pair("k", kind, data))).metadata
    assert pair == ("k", value)
    assert type(pair[1]) is type(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GGML" + bytes(20), "magic: expected b'GGUF', found b'GGML'"),
        (gguf_file(version=1), "version: expected 2 or 3, found 1"),
        (b"GGUF" + struct.pack(">I", 3), "found big-endian version 3"),
        (gguf_file(tensors=COUNT_LIMIT + 1), "tensor count: expected at most"),
        (gguf_file(count=COUNT_LIMIT + 1), "metadata count: expected at most"),
        (gguf_file(text("k", "a"), text("k", "b")), "key 'k': appears twice"),
        (gguf_file(gguf_pair("k", 13, b"")), "expected a value type from 0 to 12, found 13"),
        (gguf_file(gguf_pair("k", BOOL, b"\x02")), "expected a bool of 0 or 1, found 2"),
        (gguf_file(gguf_pair("k", STRING, gguf_string(b"\xff"))), "'k': expected UTF-8"),
        (gguf_file(struct.pack("<Q", 70_000), count=1), "key: expected at most 65535 bytes, found 70000"),
        (gguf_file(gguf_pair("k", STRING, b"\xff" * 8)), "'k': expected at most"),
        (gguf_file(array("k", STRING, 1 << 60, b"")), "metadata: expected at most"),
        (gguf_file(array("k", F64, 1 << 60, b"")), "metadata: expected at most"),
        (gguf_file(array("k", STRING, 17, b"\xff" * 8)), "metadata: expected at most"),
        (gguf_file(array("k", ARRAY, 17, b"")), "expected an array of scalars or strings, found type 9"),
        (gguf_file(array("k", 99, 17, b"")), "found type 99"),
        (gguf_file(array("k", 99, 1, b"")), "expected a value type from 0 to 12, found 99"),
        (gguf_file(array("k", ARRAY, 1, struct.pack("<IQ", ARRAY, 1) * 8)), "nested more than 4 deep"),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_prefix(data)
    assert message in str(caught.value)


def test_every_short_prefix_asks_for_more_and_the_asking_ends() -> None:
    for size in range(len(MODEL)):
        have, rounds = size, 0
        while True:
            try:
                header = parse_prefix(MODEL[:have])
                break
            except NeedMoreBytes as more:
                assert have < more.minimum <= len(MODEL)
                have, rounds = more.minimum, rounds + 1
        assert header.tensor_count == 272
        assert rounds <= 100


def test_a_short_string_list_asks_for_every_length_at_once() -> None:
    data = gguf_file(array("k", STRING, 1000, b""))
    with pytest.raises(NeedMoreBytes) as caught:
        parse_prefix(data)
    assert caught.value.minimum == len(data) + 8000
    assert caught.value.minimum < METADATA_LIMIT


@pytest.mark.parametrize(
    ("number", "name"),
    [(0, "F32"), (15, "Q4_K_M"), (32, "BF16"), (38, "MXFP4_MOE"), (33, "type 33"), (1024, "type 1024")],
)
def test_file_types(number: int, name: str) -> None:
    data = gguf_file(gguf_pair("general.file_type", U32, struct.pack("<I", number)))
    assert parse_prefix(data).file_type == name


@pytest.mark.parametrize(("count", "split"), [(3, (1, 3)), (1, None), (0, None)])
def test_split(count: int, split: tuple[int, int] | None) -> None:
    data = gguf_file(
        gguf_pair("split.no", U16, struct.pack("<H", 1)),
        gguf_pair("split.count", U16, struct.pack("<H", count)),
    )
    assert parse_prefix(data).split == split


def test_fields_of_the_wrong_type_count_as_absent() -> None:
    header = parse_prefix(
        gguf_file(
            gguf_pair("general.architecture", U8, b"\x01"),
            gguf_pair("general.file_type", I8, b"\xff"),
            gguf_pair("None.context_length", BOOL, b"\x01"),
        )
    )
    assert (header.architecture, header.file_type, header.context_length) == (None, None, None)
