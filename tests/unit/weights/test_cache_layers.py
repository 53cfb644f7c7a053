"""What a model keeps for each token, by its kind of attention."""

from __future__ import annotations

from typing import Any

import pytest

from hf_pack.weights.cache_layers import CacheLayers, shape_of

BASE: dict[str, Any] = {"hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8}


def layers(**config: Any) -> dict[str, tuple[int, int, int, int | None]]:
    """kind -> (count, heads, width, window)."""
    found = shape_of({**BASE, **config}).layers
    assert found is not None
    return {one.kind: (one.count, one.heads, one.width, one.window) for one in found}


def state(**config: Any) -> CacheLayers:
    found = shape_of({**BASE, **config}).layers
    assert found is not None
    return next(one for one in found if one.kind == "state")


def test_mha_and_gqa() -> None:
    assert layers(model_type="llama") == {"full": (4, 8, 256, None)}
    assert layers(model_type="llama", num_key_value_heads=2, head_dim=64) == {"full": (4, 2, 128, None)}


def test_mla_is_one_head_and_only_where_vllm_serves_it_so() -> None:
    ranks = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128}
    assert layers(model_type="deepseek_v3", **ranks) == {"mla": (4, 1, 576, None)}
    assert layers(model_type="minicpm3", **ranks) == {"full": (4, 8, 384, None)}


def test_sliding_windows() -> None:
    assert layers(model_type="mistral", sliding_window=4096) == {"sliding": (4, 8, 256, 4096)}
    assert layers(model_type="qwen2", sliding_window=4096, use_sliding_window=False) == {"full": (4, 8, 256, None)}
    assert layers(model_type="gemma2", sliding_window=4096)["sliding"][0] == 2
    twelve = layers(model_type="gemma3_text", num_hidden_layers=12, sliding_window=1024)
    assert (twelve["sliding"][0], twelve["full"][0]) == (10, 2)
    listed = ["sliding_attention", "full_attention"] * 2
    assert layers(model_type="gpt_oss", sliding_window=128, layer_types=listed)["sliding"] == (2, 8, 256, 128)


def test_chunked_attention() -> None:
    found = layers(model_type="llama4_text", attention_chunk_size=8192)
    assert (found["chunked"][0], found["full"][0]) == (3, 1)


def test_layers_that_read_anothers_cache_have_none() -> None:
    listed = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    found = layers(model_type="gemma3n_text", sliding_window=512, layer_types=listed, num_kv_shared_layers=2)
    assert (found["sliding"][0], found["full"][0]) == (1, 1)


def test_global_layers_of_gemma_4_are_wider() -> None:
    listed = ["sliding_attention"] * 3 + ["full_attention"]
    found = layers(
        model_type="gemma4_text", sliding_window=512, layer_types=listed, head_dim=256, global_head_dim=512,
        num_key_value_heads=4, num_global_key_value_heads=2,
    )  # fmt: skip
    assert found == {"sliding": (3, 4, 512, 512), "full": (1, 2, 1024, None)}


def test_gated_delta_net() -> None:
    linear = {
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
    }  # fmt: skip
    found = state(model_type="qwen3_next", full_attention_interval=4, **linear)
    assert (found.count, found.float_values, found.state_values) == (3, 32 * 128 * 128, 3 * 8192)
    assert found.float_bytes == 2, "Qwen3-Next names no dtype for its state"
    assert (
        state(model_type="qwen3_5_text", full_attention_interval=4, mamba_ssm_dtype="float32", **linear).float_bytes
        == 4
    )


def test_mamba_beside_attention() -> None:
    mamba = {"mamba_n_heads": 16, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_n_groups": 1, "mamba_d_conv": 4}
    found = state(model_type="bamba", attn_layer_indices=[2], **mamba)
    assert (found.count, found.float_values, found.state_values) == (3, 16 * 64 * 128, 3 * (1024 + 256))
    both = layers(model_type="falcon_h1", **mamba)
    assert (both["full"][0], both["state"][0]) == (4, 4)
    pattern = {"mamba_num_heads": 16, "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4}
    mixed = layers(model_type="nemotron_h", hybrid_override_pattern="M-*M", **pattern)
    assert (mixed["full"][0], mixed["state"][0]) == (1, 2)


def test_the_language_model_inside_another() -> None:
    inner: dict[str, Any] = {**BASE, "model_type": "qwen2", "num_key_value_heads": 2}
    shape = shape_of({"model_type": "qwen2_5_vl", "text_config": inner})
    assert shape.layers is not None and shape.layers[0].heads == 2


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "deepseek_v4", **BASE},
        {"model_type": "mllama", **BASE},
        {"model_type": "mistral4", **BASE, "kv_lora_rank": 256, "qk_rope_head_dim": 64, "qk_nope_head_dim": 64},
        {"model_type": "llama", **BASE, "layer_types": ["invented"] * 4},
        {"model_type": "x", "num_hidden_layers": 4},
        {"model_type": "nemotron_h", **BASE},
        {"model_type": "nemotron_h", **BASE, "hybrid_override_pattern": "M*M*", "n_groups": 1},
        {"model_type": "llama", "num_hidden_layers": "4", "hidden_size": None},
    ],
)
def test_what_is_not_understood_is_not_guessed(config: dict[str, Any]) -> None:
    assert shape_of(config).layers is None


def test_encoders_keep_nothing() -> None:
    assert shape_of({**BASE, "model_type": "bert"}).layers == ()
