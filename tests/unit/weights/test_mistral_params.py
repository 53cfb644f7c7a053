"""params.json of Mistral's published models, as far as they are read here."""

from __future__ import annotations

from typing import Any

import pytest

from hf_pack.steps.inspecting.summarise import model_config, quantization_of
from hf_pack.weights.cache_layers import CacheLayers, shape_of
from hf_pack.weights.mistral_params import config_of_params
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.tensor_parts import Part, part_of

#: vllm-project/vllm, tests/transformers_utils/test_config.py
LARGE_3: dict[str, Any] = {
    "dim": 7168, "n_layers": 61, "head_dim": 192, "hidden_dim": 16384, "n_heads": 128, "n_kv_heads": 128,
    "vocab_size": 131072, "max_position_embeddings": 294912, "q_lora_rank": 1536, "kv_lora_rank": 512,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "moe": {"num_experts": 128, "num_experts_per_tok": 4, "num_shared_experts": 1, "expert_hidden_dim": 4096},
}  # fmt: skip
DENSE: dict[str, Any] = {
    "dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8,
    "vocab_size": 131072,
}  # fmt: skip


def test_large_3_is_latent_attention_with_experts() -> None:
    config = config_of_params(LARGE_3, {})
    shape = shape_of(config)
    assert shape.layers == (CacheLayers(kind="mla", count=61, width=512 + 64),)
    assert (shape.hidden_size, shape.intermediate_size, shape.hidden_layers, shape.tied) == (7168, 16384, 61, False)
    assert (config["moe_intermediate_size"], config["num_experts_per_tok"]) == (4096, 4)
    facts = model_facts(config, None)
    assert (facts.architectures, facts.context_length) == (("MistralLarge3ForCausalLM",), 294912)


def test_params_win_over_the_configuration_beside_them() -> None:
    beside: dict[str, Any] = {
        "model_type": "mistral3",
        "dtype": "bfloat16",
        "text_config": {"model_type": "mistral4", "hidden_size": 1},
    }
    config = model_config({"config.json": beside, "params.json": LARGE_3})
    assert (shape_of(config).hidden_size, model_facts(config, None).dtype) == (7168, "bfloat16")
    assert shape_of(config).layers == shape_of(config_of_params(LARGE_3, {})).layers
    assert shape_of(model_config({"config.json": beside})).hidden_size == 1


def test_a_file_of_that_name_that_is_not_mistrals_says_nothing_of_the_shape() -> None:
    assert model_facts(model_config({"params.json": {"stop": ["</s>"]}}), None).architectures == ()


def test_windows_repeat_over_the_layers() -> None:
    layers = shape_of(config_of_params({**DENSE, "sliding_window": [None, 32768, 32768, 32768]}, {})).layers
    full = CacheLayers(kind="full", count=10, heads=8, width=256)
    assert layers == (full, CacheLayers(kind="sliding", count=30, heads=8, width=256, window=32768))
    every = shape_of(config_of_params({**DENSE, "sliding_window": 4096}, {})).layers
    assert every == (CacheLayers(kind="sliding", count=40, heads=8, width=256, window=4096),)
    assert shape_of(config_of_params({**DENSE, "sliding_window": [None] * 3}, {})).layers is None  # 40 are no threes


@pytest.mark.parametrize(
    ("lengths", "beside", "expected"),
    [
        ({}, {}, 128_000),
        ({"max_seq_len": 32768}, {}, 32768),
        ({"max_seq_len": 262144, "max_position_embeddings": 294912}, {}, 262144),
        ({}, {"text_config": {"max_position_embeddings": 1024000}}, 1024000),
        ({"max_position_embeddings": 40960}, {"max_position_embeddings": 1024}, 40960),
    ],
)
def test_lengths(lengths: dict[str, int], beside: dict[str, Any], expected: int) -> None:
    assert model_facts(config_of_params({**DENSE, **lengths}, beside), None).context_length == expected


@pytest.mark.parametrize(
    ("stated", "method", "activations"),
    [
        ({"qformat_weight": "fp8_e4m3", "qscheme_act": "TENSOR"}, "fp8", "static"),
        ({"qformat_weight": "fp8_e4m3", "qscheme_act": "NO_SCALES"}, "fp8", "dynamic"),
        ({"quant_method": "compressed_tensors", "config_groups": {}}, "compressed-tensors", None),
    ],
)
def test_quantization_is_stated_in_words_of_its_own(
    stated: dict[str, Any], method: str, activations: str | None
) -> None:
    found = quantization_of({"params.json": {**DENSE, "quantization": stated}})
    assert (found.method, found.activations) == (method, activations)


def test_what_else_there_is() -> None:
    assert config_of_params({**DENSE, "moe": {"num_experts": 8}}, {})["architectures"] == ["MixtralForCausalLM"]
    assert config_of_params({**DENSE, "vision_encoder": {"x": 1}}, {})["architectures"] == [
        "PixtralForConditionalGeneration"
    ]
    odd = {"dim": "wide", "n_layers": None, "moe": 3, "sliding_window": [1], "max_seq_len": True, "quantization": 1}
    assert shape_of(config_of_params(odd, {})).layers is None


def test_latent_projections_and_routers_are_whole_on_every_gpu() -> None:
    for name in ("attention.wq_a", "attention.wkv_a_with_mqa", "gate"):
        assert part_of(f"layers.3.{name}.weight", (8, 8)) is Part.REPLICATED
    for name in ("attention.wq_b", "experts.0.w1", "shared_experts.w2", "feed_forward.w3"):
        assert part_of(f"layers.3.{name}.weight", (8, 8)) is Part.SHARDED
