"""Against the reference library: it writes, we read; and we refuse what it refuses."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hf_pack.weights.safetensors import DTYPE_BITS, Header, header_length, parse_header
from hf_pack.weights.weights_error import HeaderError

np = pytest.importorskip("numpy", reason="needs numpy")
safetensors = pytest.importorskip("safetensors", reason="needs safetensors")
library = pytest.importorskip("safetensors.numpy", reason="needs safetensors")

DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
}


def read(data: bytes) -> Header:
    length = header_length(data[:8], len(data))
    return parse_header(data[8 : 8 + length], len(data))


def test_reads_every_dtype_and_shape_that_the_library_writes(tmp_path: Path) -> None:
    shapes = [(), (0,), (1,), (3, 4), (2, 0, 5), (2, 3, 4)]
    arrays = {f"{dtype}.{n}": np.ones(shape, dtype) for dtype in DTYPES for n, shape in enumerate(shapes)}
    path = tmp_path / "model.safetensors"
    library.save_file(arrays, path, metadata={"format": "np", "é": "\n"})
    data = path.read_bytes()
    header = read(data)
    assert dict(header.metadata) == {"format": "np", "é": "\n"}
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in header.tensors} == {
        name: (DTYPES[str(array.dtype)], array.shape) for name, array in arrays.items()
    }
    for tensor in header.tensors:
        begin, end = header.data_offset + tensor.begin, header.data_offset + tensor.end
        assert data[begin:end] == arrays[tensor.name].tobytes(), tensor.name


def library_accepts(data: bytes) -> bool:
    try:
        safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return False
    return True


def we_accept(data: bytes) -> bool:
    with contextlib.suppress(HeaderError):
        read(data)
        return True
    return False


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_dtype_is_the_librarys(dtype: str) -> None:
    text = json.dumps({"w": {"dtype": dtype, "shape": [8], "data_offsets": [0, DTYPE_BITS[dtype]]}}).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(DTYPE_BITS[dtype])
    assert library_accepts(data)
    assert we_accept(data)


ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*sorted(DTYPE_BITS), "F99"]),
        "shape": st.lists(st.sampled_from([0, 1, 2, 3, 8, 1 << 40, 1 << 62]), max_size=3),
        "data_offsets": st.lists(st.integers(0, 24), min_size=2, max_size=2),
    }
)


@given(st.dictionaries(st.sampled_from("abcd"), ENTRY, max_size=3), st.integers(0, 40))
@example({"a": {"dtype": "BF16", "shape": [1 << 62, 0], "data_offsets": [0, 0]}}, 0)
@example({"a": {"dtype": "BF16", "shape": [1 << 62, 8, 0], "data_offsets": [0, 0]}}, 0)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_headers_are_refused(document: dict[str, object], size: int) -> None:
    text = json.dumps(document).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(size)
    assert we_accept(data) == library_accepts(data)


@given(st.data())
@settings(max_examples=400)
def test_a_changed_byte_that_the_library_refuses_is_refused(data: st.DataObject) -> None:
    arrays = {"a": np.zeros((2, 3), "float32"), "b": np.zeros(4, "int8"), "c": np.zeros((), "float16")}
    damaged = bytearray(library.save(arrays, metadata={"format": "np"}))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    if we_accept(bytes(damaged)):
        assert library_accepts(bytes(damaged))
