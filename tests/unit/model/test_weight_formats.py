from __future__ import annotations

import pytest

from hf_pack.model.weight_formats import (
    WeightFormat,
    WeightIndex,
    gguf_quantization,
    shard_stem,
    weight_format,
    weight_index,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model.safetensors", WeightFormat.SAFETENSORS),
        ("a/Model.SafeTensors", WeightFormat.SAFETENSORS),
        ("consolidated.safetensors", WeightFormat.CONSOLIDATED),
        ("consolidated-00001-of-00002.safetensors", WeightFormat.CONSOLIDATED),
        ("consolidated.00.pth", WeightFormat.PT),
        ("pytorch_model.bin", WeightFormat.BIN),
        ("m.gguf", WeightFormat.GGUF),
        ("m.pkl", WeightFormat.CKPT),
        ("safetensors", None),
        (".safetensors", None),
        ("config.json", None),
        ("flax_model.msgpack", None),
    ],
)
def test_weight_format(path: str, expected: WeightFormat | None) -> None:
    assert weight_format(path) is expected


def test_preference_is_the_runtimes() -> None:
    assert [found.value for found in WeightFormat] == ["safetensors", "consolidated", "bin", "pt", "ckpt", "gguf"]
    assert {found for found in WeightFormat if found.is_pickle} == {
        WeightFormat.BIN,
        WeightFormat.PT,
        WeightFormat.CKPT,
    }


def test_weight_index() -> None:
    assert weight_index("a/model.safetensors.index.json") == WeightIndex(
        format=WeightFormat.SAFETENSORS, stem="a/model", is_variant=False
    )
    assert weight_index("model.safetensors.index.fp16.json") == WeightIndex(
        format=WeightFormat.SAFETENSORS, stem="model.fp16", is_variant=True
    )
    assert weight_index("pytorch_model.bin.index.json") == WeightIndex(
        format=WeightFormat.BIN, stem="pytorch_model", is_variant=False
    )
    assert weight_index("config.json") is None
    assert weight_index("tf_model.h5.index.json") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("x/model-Q4_K_M-00001-of-00003.gguf", "Q4_K_M"),
        ("Qwen3-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"),
        ("m-IQ3_XXS.gguf", "IQ3_XXS"),
        ("m.f16.gguf", "f16"),
        ("m-MXFP4.gguf", "MXFP4"),
        ("tinyllama.gguf", "tinyllama"),
    ],
)
def test_gguf_quantization(path: str, expected: str) -> None:
    assert gguf_quantization(path) == expected


def test_shard_stem() -> None:
    assert shard_stem("a/model-00001-of-00003.safetensors") == shard_stem("a/model.safetensors") == "a/model"
