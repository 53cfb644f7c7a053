"""What a model keeps for every token of a request, layer by layer: told from ``config.json`` alone.

Shapes are those that vLLM allocates (``v1/kv_cache_interface.py``, ``layers/mamba/mamba_utils.py``); SGLang's are the
same. A model that this module does not know gives None, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from hf_pack.weights.layer_kinds import layer_count, layer_kinds
from hf_pack.weights.model_facts import language_configs
from hf_pack.weights.strict_json import JsonValue, child, first, whole

Config = Mapping[str, JsonValue]
Kind = Literal["full", "sliding", "chunked", "mla", "state"]

#: ``is_deepseek_mla`` of vLLM 0.33.0 (``transformers_utils/model_arch_config_convertor.py``): others with a
#: ``kv_lora_rank`` are served as ordinary attention.
_MLA_TYPES = frozenset(
    {
        "axk1", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_mtp", "glm_moe_dsa", "glm4_moe_lite",
        "kimi_k2", "kimi_linear", "longcat_flash", "pangu_ultra_moe", "bailing_hybrid",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLayers:
    """Layers that keep the same. ``count`` layers; per token ``heads`` times ``width`` values (key and value together).

    ``mla`` has one head that no tensor parallelism splits. ``sliding`` and ``chunked`` keep ``window`` tokens.
    ``state`` keeps nothing per token but ``state_values`` of 16 bits and ``float_values`` in ``float_bytes`` bytes each
    per request, both split by tensor parallelism.
    """

    kind: Kind
    count: int
    heads: int = 1
    width: int = 0
    window: int | None = None
    state_values: int = 0
    float_values: int = 0
    float_bytes: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a configuration decides memory. ``None`` where it does not say."""

    layers: tuple[CacheLayers, ...] | None
    attention_heads: int | None
    hidden_size: int | None
    intermediate_size: int | None
    vocabulary: int | None
    tied: bool  #: the output head is the embedding: it is not loaded twice
    hidden_layers: int | None


def language_config(config: Config) -> Config:
    """The language model's part of a configuration; its own keys win over those of the top."""
    parts = list(language_configs(config))
    for name, part in parts[1:]:
        if name and ("num_hidden_layers" in part or "hidden_size" in part):
            return {**config, **part}
    return config


def shape_of(config: Config) -> Shape:
    """Read a parsed config.json; a field that is out of shape counts as absent."""
    text = language_config(config)
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    if tied is None:  # transformers' default, which few models override in code
        tied = text.get("model_type") in (
            "gemma",
            "gemma2",
            "gemma3_text",
            "gemma3",
            "gpt2",
            "cohere",
            "cohere2",
            "opt",
        )
    return Shape(
        layers=_layers(text),
        attention_heads=first(text, "num_attention_heads", "n_head", "num_heads"),
        hidden_size=first(text, "hidden_size", "n_embd", "d_model", "dim"),
        intermediate_size=_intermediate(text),
        vocabulary=first(text, "vocab_size"),
        tied=tied is True,
        hidden_layers=layer_count(text),
    )


def _layers(text: Config) -> tuple[CacheLayers, ...] | None:
    kinds = layer_kinds(text)
    if kinds is None:
        return None
    found: dict[CacheLayers, int] = {}
    for kind in kinds:
        for part in kind.split("+"):  # falcon-h1 has attention and a state in every layer
            one = _one_layer(text, part)
            if one is None:
                return None
            if one.kind == "state" or one.width:
                found[one] = found.get(one, 0) + 1
    return tuple(replace(one, count=count) for one, count in found.items())


def _one_layer(text: Config, kind: str) -> CacheLayers | None:
    match kind:
        case "none":
            return CacheLayers(kind="full", count=1)
        case "full" | "sliding" | "chunked":
            return _attention(text, kind)
    return _state(text, kind)


def _attention(text: Config, kind: Literal["full", "sliding", "chunked"]) -> CacheLayers | None:
    rank = whole(text.get("kv_lora_rank"))
    if rank is not None and text.get("model_type") in _MLA_TYPES and text.get("use_mla") is not False:
        rope = whole(text.get("qk_rope_head_dim"))
        return None if rope is None else CacheLayers(kind="mla", count=1, width=rank + rope)
    heads = first(text, "num_attention_heads", "n_head", "num_heads")
    hidden = first(text, "hidden_size", "n_embd", "d_model")
    if heads is None or hidden is None:
        return None
    kv_heads = _kv_heads(text, heads)
    key = first(text, "head_dim", "attention_head_dim", "kv_channels") or hidden // heads
    if kind == "full" and text.get("model_type") in ("gemma4", "gemma4_text"):
        key = whole(text.get("global_head_dim")) or key
        kv_heads = whole(text.get("num_global_key_value_heads")) or kv_heads
    if rank is not None:  # MLA served as ordinary attention
        nope, rope = whole(text.get("qk_nope_head_dim")), whole(text.get("qk_rope_head_dim"))
        if nope is None or rope is None:
            return None
        key, kv_heads = nope + rope, heads
    window = None
    if kind == "sliding":
        window = whole(text.get("sliding_window"))
    elif kind == "chunked":
        window = whole(text.get("attention_chunk_size"))
    if kind != "full" and window is None:
        kind = "full"
    value = whole(text.get("v_head_dim")) if text.get("model_type") in ("mimo_v2_flash", "mimo_v2") else None
    return CacheLayers(kind=kind, count=1, heads=kv_heads, width=key + (value or key), window=window)


def _kv_heads(text: Config, heads: int) -> int:
    if text.get("model_type") in ("falcon", "RefinedWeb", "RefinedWebModel"):
        if text.get("new_decoder_architecture") is True:
            return whole(text.get("num_kv_heads")) or heads
        return 1 if text.get("multi_query") is True else heads
    if text.get("model_type") == "gpt_bigcode":
        return 1 if text.get("multi_query", True) is True else heads
    if text.get("model_type") in ("mpt", "dbrx"):
        return whole((child(text, "attn_config") or {}).get("kv_n_heads")) or heads
    found = first(text, "num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
    return found or heads


def _state(text: Config, kind: str) -> CacheLayers | None:
    if kind == "gated-delta":
        return _gated_delta(text)
    if kind == "delta":
        return _kimi_delta(text)
    if kind == "mamba2":
        return _mamba2(text)
    if kind == "mamba1":
        return _mamba1(text)
    if kind == "short-conv":
        hidden, kernel = first(text, "hidden_size"), first(text, "conv_L_cache")
        if hidden is None or kernel is None:
            return None
        return CacheLayers(kind="state", count=1, state_values=(kernel - 1) * hidden)
    if kind == "lightning":
        heads, size = first(text, "num_attention_heads"), first(text, "head_dim")
        if heads is None or size is None:
            return None
        return CacheLayers(kind="state", count=1, float_values=heads * size * size)
    return None


def _gated_delta(text: Config) -> CacheLayers | None:
    keys, values = whole(text.get("linear_num_key_heads")), whole(text.get("linear_num_value_heads"))
    key, value = whole(text.get("linear_key_head_dim")), whole(text.get("linear_value_head_dim"))
    kernel = whole(text.get("linear_conv_kernel_dim"))
    if keys is None or values is None or key is None or value is None or kernel is None:
        return None
    return CacheLayers(
        kind="state",
        count=1,
        state_values=(kernel - 1) * (2 * keys * key + values * value),
        float_values=values * key * value,
        float_bytes=_state_bytes(text),
    )


def _kimi_delta(text: Config) -> CacheLayers | None:
    linear = child(text, "linear_attn_config") or {}
    heads, size, kernel = (whole(linear.get(key)) for key in ("num_heads", "head_dim", "short_conv_kernel_size"))
    if heads is None or size is None or kernel is None:
        return None
    return CacheLayers(
        kind="state", count=1, state_values=3 * (kernel - 1) * heads * size, float_values=heads * size * size
    )


def _mamba2(text: Config) -> CacheLayers | None:
    heads = first(text, "mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads")
    size = first(text, "mamba_head_dim", "mamba_d_head", "mamba_headdim", "head_dim")
    state = first(text, "ssm_state_size", "mamba_d_state", "state_size")
    groups = first(text, "n_groups", "mamba_n_groups", "mamba_ngroups") or 1
    kernel = first(text, "conv_kernel", "mamba_d_conv", "conv_kernel_size")
    if heads is None or size is None or state is None or kernel is None:
        return None
    inner = heads * size
    return CacheLayers(
        kind="state",
        count=1,
        state_values=(kernel - 1) * (inner + 2 * groups * state),
        float_values=inner * state,
        float_bytes=_state_bytes(text, default=2),
    )


def _mamba1(text: Config) -> CacheLayers | None:
    hidden = first(text, "hidden_size", "d_model")
    state = first(text, "mamba_d_state", "state_size")
    kernel = first(text, "mamba_d_conv", "conv_kernel")
    inner = first(text, "intermediate_size") if text.get("model_type") in ("mamba", "falcon_mamba") else None
    expand = first(text, "mamba_expand", "expand")
    if inner is None and hidden is not None and expand is not None:
        inner = hidden * expand
    if inner is None or state is None or kernel is None:
        return None
    return CacheLayers(
        kind="state",
        count=1,
        state_values=(kernel - 1) * inner,
        float_values=inner * state,
        float_bytes=_state_bytes(text, default=2),
    )


def _state_bytes(text: Config, default: int = 4) -> int:
    word = text.get("mamba_ssm_dtype")
    if not isinstance(word, str):
        # Qwen3-Next predates the key: vLLM then keeps the state in the model's own 16 bits.
        return 2 if text.get("model_type") == "qwen3_next" else default
    return 4 if "32" in word else 2


def _intermediate(text: Config) -> int | None:
    dense = first(text, "intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim")
    hidden = first(text, "hidden_size", "n_embd", "d_model")
    return dense or (4 * hidden if hidden is not None else None)
