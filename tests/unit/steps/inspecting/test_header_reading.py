from __future__ import annotations

import struct

import pytest
from tests.models import gguf, safetensors
from tests.sources import MemorySource

from hf_pack.steps.inspecting.header_reading import gguf_header, read_gguf_header, safetensors_header
from hf_pack.weights.weights_error import HeaderError


def test_a_long_safetensors_header_takes_two_reads() -> None:
    data = safetensors({f"layer.{number}": ("U8", (1,)) for number in range(3000)})
    source = MemorySource({"m.safetensors": data})
    assert len(safetensors_header(source, source.listing.files[0]).tensors) == 3000


def long_gguf(tokens: int) -> bytes:
    """A header over one mebibyte, as large vocabularies make it."""
    key = b"tokenizer.ggml.tokens"
    words = b"".join(struct.pack("<Q", 12) + b"%012d" % number for number in range(tokens))
    array = struct.pack("<Q", len(key)) + key + struct.pack("<IIQ", 9, 8, tokens) + words
    data = gguf(size=512)
    return data[:16] + struct.pack("<Q", 1) + array


def test_a_long_gguf_header_is_read_on() -> None:
    data = long_gguf(200_000)
    assert len(data) > 2 << 20
    source = MemorySource({"m.gguf": data + bytes(1 << 20)})
    assert gguf_header(source, source.listing.files[0]).metadata[0][0] == "tokenizer.ggml.tokens"


def test_a_truncated_gguf_header() -> None:
    source = MemorySource({"m.gguf": long_gguf(200_000)[:-1]})
    with pytest.raises(HeaderError, match="header: the file is truncated, expected"):
        gguf_header(source, source.listing.files[0])


def test_a_gguf_that_ends_before_its_stated_size() -> None:
    data = long_gguf(10)[:-1]
    with pytest.raises(HeaderError, match=f"header: the file is truncated, expected .* found {len(data)}$"):
        read_gguf_header(lambda size: data[:size], 1 << 40)
