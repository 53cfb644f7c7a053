"""Which GPU holds a tensor, told from its name."""

from __future__ import annotations

import pytest
from tests.unit.weights.model_bytes import header

from hf_pack.weights.tensor_parts import Part, WeightPart, part_of, weight_parts


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.embed_tokens.weight", Part.EMBEDDING),
        ("model.language_model.embed_tokens.weight", Part.EMBEDDING),
        ("transformer.wte.weight", Part.EMBEDDING),
        ("lm_head.weight", Part.HEAD),
        ("model.layers.0.self_attn.q_proj.weight", Part.SHARDED),
        ("model.layers.0.self_attn.k_proj.weight", Part.KEY_VALUE),
        ("model.layers.0.self_attn.v_proj.qweight", Part.KEY_VALUE),
        ("model.layers.0.self_attn.q_norm.weight", Part.REPLICATED),
        ("model.layers.0.input_layernorm.weight", Part.REPLICATED),
        ("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", Part.REPLICATED),
        ("model.layers.0.self_attn.q_a_proj.weight", Part.REPLICATED),
        ("model.layers.0.self_attn.kv_b_proj.weight", Part.SHARDED),
        ("model.layers.0.mlp.gate.weight", Part.REPLICATED),
        ("model.layers.0.mlp.gate_proj.weight", Part.SHARDED),
        ("model.layers.0.mlp.experts.7.down_proj.weight", Part.SHARDED),
        ("model.layers.0.mlp.experts.gate_up_proj_blocks", Part.SHARDED),
        ("model.layers.0.mlp.router.weight", Part.REPLICATED),
        ("model.visual.blocks.3.attn.qkv.weight", Part.VISION),
        ("vision_tower.encoder.layers.0.mlp.fc1.weight", Part.VISION),
        ("multi_modal_projector.linear_1.weight", Part.VISION),
        ("mtp.layers.0.mlp.up_proj.weight", Part.DRAFT),
        ("model.norm.weight", Part.REPLICATED),
    ],
)
def test_parts(name: str, part: Part) -> None:
    assert part_of(name, (8, 8)) is part


def test_layers_past_the_models_own_are_its_draft() -> None:
    assert part_of("model.layers.61.mlp.experts.0.up_proj.weight", (8, 8), 61) is Part.DRAFT
    assert part_of("model.layers.60.mlp.experts.0.up_proj.weight", (8, 8), 61) is Part.SHARDED


def test_a_tensor_in_two_files_counts_once() -> None:
    one = header(("lm_head.weight", "BF16", (4, 4)), ("model.norm.weight", "F32", (4,)))
    assert weight_parts([one, header(("lm_head.weight", "BF16", (4, 4)))]) == (
        WeightPart(part=Part.HEAD, dtype="BF16", size=32),
        WeightPart(part=Part.REPLICATED, dtype="F32", size=16),
    )
