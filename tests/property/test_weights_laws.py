"""Laws of the readers: what is built is read back, and damage is a HeaderError or a consistent header."""

from __future__ import annotations

import contextlib
import json
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from hf_pack.weights import gguf, licence, model_facts, quantization, side_files, strict_json
from hf_pack.weights.pickle_sign import looks_like_pickle
from hf_pack.weights.pointer import parse_pointer
from hf_pack.weights.safetensors import DTYPE_BITS, Header, Tensor, compare, header_length, parse_header
from hf_pack.weights.shard_index import parse_index
from hf_pack.weights.weights_error import HeaderError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")
WHOLE_BYTE_DTYPES = st.sampled_from(sorted(name for name, bits in DTYPE_BITS.items() if bits % 8 == 0))
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
ENTRIES = st.dictionaries(NAMES, st.tuples(WHOLE_BYTE_DTYPES, SHAPES), max_size=6)
METADATA = st.dictionaries(NAMES, NAMES, max_size=3)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def build(entries: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]) -> tuple[bytes, Header]:
    """A whole file's bytes and the header that it must read as."""
    tensors, at = [], 0
    for name, (dtype, shape) in entries.items():
        size = DTYPE_BITS[dtype] // 8
        for length in shape:
            size *= length
        tensors.append(Tensor(name=name, dtype=dtype, shape=shape, begin=at, end=at + size))
        at += size
    document: dict[str, object] = {"__metadata__": metadata}
    for tensor in tensors:
        document[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [tensor.begin, tensor.end],
        }
    text = json.dumps(document).encode()
    expected = Header(
        tensors=tuple(sorted(tensors, key=lambda tensor: tensor.name)),
        metadata=tuple(sorted(metadata.items())),
        data_offset=8 + len(text),
        file_size=8 + len(text) + at,
    )
    return struct.pack("<Q", len(text)) + text + bytes(at), expected


def read(data: bytes) -> Header:
    length = header_length(data[:8], len(data))
    return parse_header(data[8 : 8 + length], len(data))


@given(ENTRIES, METADATA)
def test_a_built_file_reads_back(entries: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]) -> None:
    data, expected = build(entries, metadata)
    header = read(data)
    assert header == expected
    assert sum(tensor.size for tensor in header.tensors) == header.file_size - header.data_offset
    assert compare([header], [header]) == ()


@given(ENTRIES, st.data())
def test_any_other_length_is_refused(entries: dict[str, tuple[str, tuple[int, ...]]], data: st.DataObject) -> None:
    whole, _ = build(entries, {})
    cut = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:cut], whole + b"\0" * (cut + 1)):
        try:
            read(damaged)
        except HeaderError:
            continue
        raise AssertionError(f"read a file of {len(damaged)} bytes instead of {len(whole)}")


@given(ENTRIES, st.data())
@settings(max_examples=300)
def test_a_changed_byte_is_refused_or_still_a_consistent_header(
    entries: dict[str, tuple[str, tuple[int, ...]]], data: st.DataObject
) -> None:
    whole, _ = build(entries, {"format": "pt"})
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(HeaderError):
        header = read(bytes(damaged))
        assert sum(tensor.size for tensor in header.tensors) == header.file_size - header.data_offset


@given(JSON)
def test_json_reads_what_json_wrote(value: object) -> None:
    assert strict_json.loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300)
def test_readers_of_arbitrary_bytes_raise_only_header_errors(data: bytes) -> None:
    for reader in (strict_json.loads, parse_index):
        with contextlib.suppress(HeaderError):
            reader(data)
    with contextlib.suppress(HeaderError):
        parse_header(data, 8 + len(data))
    with contextlib.suppress(HeaderError):
        read(data)
    for name in side_files.SIDE_FILES:
        with contextlib.suppress(HeaderError):
            side_files.parse_checksums(name, data)
        with contextlib.suppress(HeaderError):
            side_files.fingerprint_facts(name, data)
    for harmless in (parse_pointer, looks_like_pickle, licence.recognise_text):
        harmless(data)
    licence.licence_of(b"---\n" + data + b"\n---\n", {"LICENSE": data})


@given(st.binary(max_size=120))
@settings(max_examples=300)
def test_gguf_of_arbitrary_bytes_asks_for_more_or_refuses(tail: bytes) -> None:
    data = b"GGUF\x03\0\0\0" + tail
    try:
        gguf.parse_prefix(data)
    except gguf.NeedMoreBytes as more:
        assert len(data) < more.minimum <= gguf.METADATA_LIMIT
    except HeaderError:
        pass


CONFIG_WORDS = (
    "quantization_config text_config quant_method quant_type config_groups group_0 weights input_activations "
    "default _type _data dynamic num_bits group_size bits quant_algo activation_scheme architectures dtype "
    "auto_map AutoModel max_position_embeddings temperature tokenizer_class compression_config"
)
CONFIG_KEYS = st.sampled_from(CONFIG_WORDS.split())
CONFIGS = st.dictionaries(
    CONFIG_KEYS,
    st.recursive(
        JSON | st.sampled_from(["torchao", "fp8", "modelopt", "compressed-tensors", "awq"]),
        lambda inner: st.dictionaries(CONFIG_KEYS, inner, max_size=4) | st.lists(inner, max_size=2),
        max_leaves=10,
    ),
    max_size=5,
)


@given(CONFIGS, CONFIGS, CONFIGS)
@settings(max_examples=200)
def test_configs_of_any_shape_are_read(
    config: dict[str, strict_json.JsonValue],
    second: dict[str, strict_json.JsonValue],
    third: dict[str, strict_json.JsonValue],
) -> None:
    model_facts.model_facts(config, second)
    found = quantization.detect(config, [], hf_quant_config=second, quantize_config=third)
    assert found.method
    assert not quantization.detect(config, []).broken or isinstance(config.get("quant_method"), str)
