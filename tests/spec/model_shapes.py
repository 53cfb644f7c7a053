"""Headers of well-known models, made tensor by tensor from their published configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hf_pack.weights.safetensors import DTYPE_BITS, Header, Tensor

Config = Mapping[str, Any]
Form = Literal["BF16", "F8", "I8", "AWQ", "GPTQ", "GPTQ8", "MXFP4"]


def headers(config: Config, form: Form = "BF16") -> tuple[Header, ...]:
    """One header with every tensor of the model; linear layers in ``form``."""
    at, tensors = 0, []
    for name, dtype, shape in _tensors(config.get("text_config", config), form, tied=_tied(config)):
        size = DTYPE_BITS[dtype]
        for length in shape:
            size *= length
        tensors.append(Tensor(name=name, dtype=dtype, shape=shape, begin=at, end=at + size // 8))
        at += size // 8
    return (Header(tensors=tuple(tensors), metadata=(), data_offset=0, file_size=at),)


def _tied(config: Config) -> bool:
    return bool(config.get("tie_word_embeddings", False))


def _tensors(c: Config, form: Form, *, tied: bool) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    hidden, layers, vocab = c["hidden_size"], c["num_hidden_layers"], c["vocab_size"]
    yield "model.embed_tokens.weight", "BF16", (vocab, hidden)
    if not tied:
        yield "lm_head.weight", "BF16", (vocab, hidden)
    yield "model.norm.weight", "BF16", (hidden,)
    for layer in range(layers):
        base = f"model.layers.{layer}"
        yield f"{base}.input_layernorm.weight", "BF16", (hidden,)
        yield f"{base}.post_attention_layernorm.weight", "BF16", (hidden,)
        yield from _attention(c, base, "BF16" if form == "MXFP4" else form, layer)
        yield from _feed_forward(c, base, form)


def _attention(c: Config, base: str, form: Form, layer: int) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    kv, size = c.get("num_key_value_heads", heads), c.get("head_dim") or hidden // heads
    if "full_attention_interval" in c and (layer + 1) % c["full_attention_interval"]:
        keys, values = c["linear_num_key_heads"], c["linear_num_value_heads"]
        key, value = c["linear_key_head_dim"], c["linear_value_head_dim"]
        mixed = 2 * keys * key + values * value
        yield f"{base}.linear_attn.conv1d.weight", "BF16", (mixed, 1, c["linear_conv_kernel_dim"])
        yield f"{base}.linear_attn.A_log", "F32", (values,)
        yield f"{base}.linear_attn.dt_bias", "BF16", (values,)
        yield from _linear(f"{base}.linear_attn.in_proj_qkv", mixed, hidden, form)
        yield from _linear(f"{base}.linear_attn.in_proj_z", values * value, hidden, form)
        yield from _linear(f"{base}.linear_attn.in_proj_ba", 2 * values, hidden, "BF16")
        yield from _linear(f"{base}.linear_attn.out_proj", hidden, values * value, form)
        return
    gate = 2 if "full_attention_interval" in c else 1  # Qwen3.5 gates its attention: queries are twice as wide
    for name, rows, columns in (
        ("q_proj", gate * heads * size, hidden),
        ("k_proj", kv * size, hidden),
        ("v_proj", kv * size, hidden),
        ("o_proj", hidden, heads * size),
    ):
        yield from _linear(f"{base}.self_attn.{name}", rows, columns, form)
        biased = c.get("attention_bias") or (c.get("model_type") == "qwen2" and name != "o_proj")
        if biased:
            yield f"{base}.self_attn.{name}.bias", "BF16", (rows,)


def _feed_forward(c: Config, base: str, form: Form) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    hidden = c["hidden_size"]
    experts = int(c.get("num_experts") or c.get("num_local_experts") or 0)
    if form == "MXFP4":
        inner = c["intermediate_size"]
        yield f"{base}.mlp.router.weight", "BF16", (experts, hidden)
        for name, rows, columns in (("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner)):
            yield f"{base}.mlp.experts.{name}_blocks", "U8", (experts, rows, columns // 32, 16)
            yield f"{base}.mlp.experts.{name}_scales", "U8", (experts, rows, columns // 32)
            yield f"{base}.mlp.experts.{name}_bias", "BF16", (experts, rows)
        return
    shapes = [("mlp", c.get("intermediate_size", 0))]
    if experts:
        yield f"{base}.mlp.gate.weight", "BF16", (experts, hidden)
        shapes = [(f"mlp.experts.{number}", c["moe_intermediate_size"]) for number in range(experts)]
        if c.get("shared_expert_intermediate_size"):
            shapes.append(("mlp.shared_expert", c["shared_expert_intermediate_size"]))
            yield f"{base}.mlp.shared_expert_gate.weight", "BF16", (1, hidden)
    for place, inner in shapes:
        for name, rows, columns in (
            ("gate_proj", inner, hidden),
            ("up_proj", inner, hidden),
            ("down_proj", hidden, inner),
        ):
            yield from _linear(f"{base}.{place}.{name}", rows, columns, form)


def _linear(name: str, rows: int, columns: int, form: Form) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    match form:
        case "AWQ":
            yield f"{name}.qweight", "I32", (columns, rows // 8)
            yield f"{name}.qzeros", "I32", (columns // 128, rows // 8)
            yield f"{name}.scales", "F16", (columns // 128, rows)
        case "GPTQ" | "GPTQ8":  # 4 bits without groups, 8 bits in groups of 128: as the two that are compared are
            bits, groups = (4, 1) if form == "GPTQ" else (8, columns // 128)
            yield f"{name}.qweight", "I32", (columns * bits // 32, rows)
            yield f"{name}.qzeros", "I32", (groups, rows * bits // 32)
            yield f"{name}.scales", "F16", (groups, rows)
            yield f"{name}.g_idx", "I32", (columns,)
        case "F8":
            yield f"{name}.weight", "F8_E4M3", (rows, columns)
            yield f"{name}.weight_scale", "BF16", (1,)
        case "I8":
            yield f"{name}.weight", "I8", (rows, columns)
            yield f"{name}.weight_scale", "BF16", (rows, 1)
        case _:
            yield f"{name}.weight", "BF16", (rows, columns)
