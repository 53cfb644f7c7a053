"""Detection on tiny models that the real quantizers wrote (``quantizers/make.py``), not on hand-typed JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hf_pack.weights.gguf import parse_prefix
from hf_pack.weights.quantization import Quantization, detect
from hf_pack.weights.safetensors import Header, Tensor
from hf_pack.weights.tensor_parts import Part, weight_parts

HERE = Path(__file__).parent / "quantizers"

#: recording -> method, scheme, activations, bits, group size
EXPECTED: dict[str, tuple[str, str, str | None, int | None, int | None]] = {
    "torchao-fp8-weight-only": ("torchao", "torchao-fp8-weight-only", None, 8, None),
    "torchao-int8-weight-only": ("torchao", "torchao-other", None, 8, None),
    "llm-compressor-fp8": ("compressed-tensors", "fp8-channel", "dynamic", 8, None),
    "llm-compressor-fp8-block": ("compressed-tensors", "fp8-block", "dynamic", 8, None),
    "llm-compressor-w4a16": ("compressed-tensors", "wna16", None, 4, 128),
    "llm-compressor-w8a8": ("compressed-tensors", "int8-w8a8", "dynamic", 8, None),
    "llm-compressor-nvfp4a16": ("compressed-tensors", "nvfp4-w4a16", None, 4, 16),
    "llm-compressor-mxfp4a16": ("compressed-tensors", "mxfp4-w4a16", None, 4, 32),
    "auto-round-gptq": ("gptq", "gptq", None, 4, 128),
    "auto-round-gptq-8": ("gptq", "gptq", None, 8, 128),
    "auto-round-awq": ("awq", "awq", None, 4, 128),
    "auto-round": ("auto-round", "gptq", None, 4, 128),
    "modelopt-fp8": ("modelopt", "modelopt-fp8", "static", 8, None),
    "modelopt-nvfp4": ("modelopt", "nvfp4", "dynamic", 4, 16),
}


def header(name: str) -> Header:
    document = json.loads((HERE / name / "model.header").read_text())
    metadata = document["header"].pop("__metadata__", {})
    tensors = (
        Tensor(
            name=tensor,
            dtype=entry["dtype"],
            shape=tuple(entry["shape"]),
            begin=entry["data_offsets"][0],
            end=entry["data_offsets"][1],
        )
        for tensor, entry in document["header"].items()
    )
    return Header(
        tensors=tuple(tensors),
        metadata=tuple(metadata.items()),
        data_offset=0,
        file_size=document["file_size"],
    )


def config(name: str, file: str = "config.json") -> dict[str, Any] | None:
    place = HERE / name / file
    return json.loads(place.read_text()) if place.exists() else None


def found(name: str, headers: list[Header]) -> Quantization:
    return detect(config(name), headers, hf_quant_config=config(name, "hf_quant_config.json"))


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_quantizer_wrote_is_known(name: str) -> None:
    seen = found(name, [header(name)])
    assert (seen.method, seen.scheme, seen.activations, seen.bits, seen.group_size) == EXPECTED[name]
    assert not seen.broken, seen.notes
    assert not seen.notes


@pytest.mark.parametrize("name", EXPECTED)
def test_without_its_statement_it_is_broken(name: str) -> None:
    """What no runtime loads: the tensors as they are, and a configuration that does not say what they are."""
    bare = {key: value for key, value in (config(name) or {}).items() if key != "quantization_config"}
    seen = detect(bare, [header(name)])
    assert seen.broken or name in ("torchao-int8-weight-only",), seen


@pytest.mark.parametrize("name", EXPECTED)
def test_every_byte_has_its_part(name: str) -> None:
    one = header(name)
    parts = weight_parts([one], 1)
    assert sum(part.size for part in parts) == sum(tensor.size for tensor in one.tensors)
    assert {part.part for part in parts} >= {Part.EMBEDDING, Part.HEAD, Part.SHARDED, Part.KEY_VALUE}


@pytest.mark.parametrize(("name", "file_type"), [("gguf-q8-0", "Q8_0"), ("gguf-q4-0", "Q4_0")])
def test_what_the_gguf_package_wrote_is_known(name: str, file_type: str) -> None:
    gguf = parse_prefix((HERE / name / "model.gguf").read_bytes())
    assert (gguf.architecture, gguf.context_length) == ("llama", 512)
    seen = detect(None, [], gguf=gguf)
    assert (seen.method, seen.scheme) == ("gguf", "gguf") and file_type in seen.notes[0]


def test_each_recording_is_tested() -> None:
    recorded = {place.name for place in HERE.iterdir() if place.is_dir() and not place.name.startswith("__")}
    assert recorded == {*EXPECTED, "gguf-q8-0", "gguf-q4-0"}
