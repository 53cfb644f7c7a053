"""Headers of well-known models, made tensor by tensor from their published configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from math import prod
from typing import Any, Literal

from hf_pack.weights.safetensors import DTYPE_BITS, Header, Tensor

Config = Mapping[str, Any]
Form = Literal["BF16", "F8", "F8-BLOCK", "I8", "AWQ", "GPTQ", "GPTQ8", "NVFP4", "MXFP4"]
Made = tuple[str, str, tuple[int, ...]]
"""Name, dtype and shape of a tensor."""


def headers(config: Config, form: Form = "BF16", kept: tuple[str, ...] = (), vision: int = 0) -> tuple[Header, ...]:
    """One header with every tensor of the model; linear layers in ``form``.

    Modules that fit one of ``kept`` (as the checkpoint's configuration lists what it does not quantize) stay BF16.
    ``vision`` is how many BF16 values the encoders have together.
    """
    text, tied = config.get("text_config", config), _tied(config)
    made = [one for one in _tensors(text, form, tied=tied) if not _is_kept(one[0], kept)]
    if kept:
        made += [one for one in _tensors(text, "BF16", tied=tied) if _is_kept(one[0], kept)]
    if vision:
        made.append(("vision_tower.all.weight", "BF16", (vision,)))
    at, tensors = 0, []
    for name, dtype, shape in made:
        size = DTYPE_BITS[dtype] * prod(shape) // 8
        tensors.append(Tensor(name=name, dtype=dtype, shape=shape, begin=at, end=at + size))
        at += size
    return (Header(tensors=tuple(tensors), metadata=(), data_offset=0, file_size=at),)


def _is_kept(name: str, kept: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in kept)


def _tied(config: Config) -> bool:
    return bool(config.get("tie_word_embeddings", False))


def _tensors(c: Config, form: Form, *, tied: bool) -> Iterator[Made]:
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
    for layer in range(c.get("mtp_num_hidden_layers", 0)):  # Qwen's draft: full attention, and what joins its inputs
        yield from _linear("mtp.fc", hidden, 2 * hidden, "BF16")
        yield from _attention(c, f"mtp.layers.{layer}", form, c.get("full_attention_interval", 1) - 1)
        yield from _feed_forward(c, f"mtp.layers.{layer}", form)


def _attention(c: Config, base: str, form: Form, layer: int) -> Iterator[Made]:
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    kv, size = c.get("num_key_value_heads", heads), c.get("head_dim") or hidden // heads
    projections: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    if "global_head_dim" in c and (layer + 1) % 6 == 0:  # Gemma 4: every sixth layer is full, its keys are its values
        kv, size, projections = c["num_global_key_value_heads"], c["global_head_dim"], ("q_proj", "k_proj", "o_proj")
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
        if name not in projections:
            continue
        yield from _linear(f"{base}.self_attn.{name}", rows, columns, form)
        biased = c.get("attention_bias") or (c.get("model_type") in ("qwen", "qwen2") and name != "o_proj")
        if biased:
            yield f"{base}.self_attn.{name}.bias", "BF16", (rows,)


def _feed_forward(c: Config, base: str, form: Form) -> Iterator[Made]:
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
    # The first Qwen counts both halves of its gated product.
    shapes = [("mlp", c.get("intermediate_size", 0) // (2 if c.get("model_type") == "qwen" else 1))]
    if experts:
        yield f"{base}.mlp.gate.weight", "BF16", (experts, hidden)
        each = c.get("moe_intermediate_size") or c["intermediate_size"]
        shapes = [(f"mlp.experts.{number}", each) for number in range(experts)]
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


def _linear(name: str, rows: int, columns: int, form: Form) -> Iterator[Made]:
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
        case "F8-BLOCK":
            yield f"{name}.weight", "F8_E4M3", (rows, columns)
            yield f"{name}.weight_scale_inv", "BF16", (-(-rows // 128), -(-columns // 128))
        case "NVFP4":
            yield f"{name}.weight", "U8", (rows, columns // 2)
            yield f"{name}.weight_scale", "F8_E4M3", (rows, columns // 16)
            yield f"{name}.weight_scale_2", "F32", ()
            yield f"{name}.input_scale", "F32", ()
        case "I8":
            yield f"{name}.weight", "I8", (rows, columns)
            yield f"{name}.weight_scale", "BF16", (rows, 1)
        case _:
            yield f"{name}.weight", "BF16", (rows, columns)
