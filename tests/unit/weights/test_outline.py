"""The part of a configuration that a cache's index has: an answer from it is the answer from all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.spec.test_published_runs import CONFIGS, GPU, facts

from hf_pack.api.checking import matrix
from hf_pack.gpu.check import check
from hf_pack.gpu.facts import Options
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.outline import outline

BULK: dict[str, Any] = {
    "id2label": {str(number): "x" for number in range(1000)},
    "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27},
    "initializer_range": 0.02,
    "auto_map": {"AutoModel": "modeling.Model"},
}
HYBRIDS: dict[str, dict[str, Any]] = {
    "jamba": {
        "model_type": "jamba", "num_hidden_layers": 32, "hidden_size": 4096, "attn_layer_period": 8, "expand": 2,
        "attn_layer_offset": 4, "num_attention_heads": 32, "num_key_value_heads": 8, "mamba_d_state": 16,
        "mamba_d_conv": 4, "mamba_expand": 2,
    },
    "kimi": {
        "model_type": "kimi_linear", "num_hidden_layers": 4, "hidden_size": 2304, "num_attention_heads": 32,
        "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
        "linear_attn_config": {"full_attn_layers": [4], "num_heads": 32, "head_dim": 128, "short_conv_kernel_size": 4},
    },
    "nemotron": {
        "model_type": "nemotron_h", "num_hidden_layers": 4, "hybrid_override_pattern": "M-M*", "hidden_size": 4096,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "mamba_num_heads": 128,
        "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4,
    },
    "phi4-mini": {
        "model_type": "phi3", "num_hidden_layers": 32, "hidden_size": 3072, "num_attention_heads": 24,
        "num_key_value_heads": 8, "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
        "rope_scaling": {"type": "longrope", "long_factor": [1.0] * 48, "short_factor": [1.0] * 48},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_a_check_of_the_outline_is_the_check_of_the_configuration(name: str, runtime: str) -> None:
    whole = facts(name, "MXFP4" if name.startswith("gpt-oss") else "BF16")
    whole = replace(whole, config={**whole.config, **BULK})
    part = replace(whole, config=outline(whole.config))
    gpus = (GPU, GPU)
    assert check(part, gpus, runtime, Options(), matrix()) == check(whole, gpus, runtime, Options(), matrix())
    each_layer = CONFIGS[name].get("text_config", {}).get("layer_types", "")  # some models have a word for each
    assert len(str(part.config)) - len(str(each_layer)) < 1000


@pytest.mark.parametrize("name", HYBRIDS)
def test_shapes_of_hybrids_survive(name: str) -> None:
    shape = shape_of(HYBRIDS[name])
    assert shape.layers is not None
    assert shape_of(outline({**HYBRIDS[name], **BULK})) == shape
