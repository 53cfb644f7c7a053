"""Which attention each layer of a model has, whatever spelling its configuration uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_pack.weights.strict_json import JsonValue, child, first, whole

Config = Mapping[str, JsonValue]

#: What ``layer_types`` and its like write, in this project's words.
_WORDS = {
    "full_attention": "full",
    "attention": "full",
    "global": "full",
    "sliding_attention": "sliding",
    "local": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "gated-delta",
    "mamba": "mamba2",
    "mamba2": "mamba2",
    "conv": "short-conv",
    "moe": "none",
    "mlp": "none",
}
#: Encoders keep nothing between tokens.
_ENCODERS = frozenset(
    {
        "bert", "roberta", "xlm-roberta", "modernbert", "nomic_bert", "distilbert", "albert", "electra",
        "mpnet", "deberta-v2", "new", "gte", "eurobert",
    }
)  # fmt: skip
#: Every Nth layer is full, the others slide (the models' own code in transformers).
_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "gemma3n": 5, "gemma3n_text": 5}
_UNKNOWN = frozenset(
    # caches of their own: sparse indexes, compression, cross attention; what vLLM makes of mistral4's config.json is
    # not known: with Mistral's own weights it reads params.json (mistral_params)
    {
        "deepseek_v4", "deepseek_v41", "mllama", "mllama_text_model", "whisper", "t5", "bart", "mbart",
        "rwkv", "rwkv5", "rwkv6", "rwkv7", "zamba2", "phi4flash", "mistral4",
    }
)  # fmt: skip


#: Whose layers are told by :func:`_hybrid` or not at all.
_HYBRIDS = frozenset({"jamba", "bamba", "nemotron_h", "kimi_linear", "minimax_m1", "minimax_text_01"})


def layer_count(text: Config) -> int | None:
    """How many layers a model has, its draft's not among them."""
    return first(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")


def layer_kinds(text: Config) -> tuple[str, ...] | None:
    """The kind of each layer: full, sliding, chunked, none, or a state's name; ``a+b`` for both in one layer.

    None for a model whose layers cannot be told.
    """
    model_type = text.get("model_type")
    if model_type in _ENCODERS:
        return ()
    count = layer_count(text)
    if count is None or count > 10_000 or model_type in _UNKNOWN:
        return None
    kinds = _hybrid(text, count)
    if kinds is None and model_type not in _HYBRIDS:
        listed = isinstance(text.get("layer_types"), list)
        kinds = _listed(text, count) if listed else _pattern(text, count)
    if kinds is None:
        return None
    shared = whole(text.get("num_kv_shared_layers")) or 0  # gemma3n and gemma4: the last ones read another's cache
    return kinds[: count - shared] if 0 < shared < count else kinds


def _listed(text: Config, count: int) -> tuple[str, ...] | None:
    words = text.get("layer_types")
    if not isinstance(words, list) or len(words) != count:
        return None
    if not _slides(text):
        words = ["full_attention" if word == "sliding_attention" else word for word in words]
    kinds = tuple(_WORDS.get(word, "?") if isinstance(word, str) else "?" for word in words)
    if text.get("model_type") == "minimax":
        kinds = tuple("lightning" if kind == "gated-delta" else kind for kind in kinds)
    return None if "?" in kinds else kinds


def _slides(text: Config) -> bool:
    """Qwen's configurations name a window that they do not use."""
    return text.get("use_sliding_window") is not False and whole(text.get("sliding_window")) is not None


def _pattern(text: Config, count: int) -> tuple[str, ...] | None:
    model_type = text.get("model_type")
    if model_type == "llama4_text" and whole(text.get("attention_chunk_size")):
        rope = text.get("no_rope_layers")
        if isinstance(rope, list) and len(rope) == count:
            return tuple("chunked" if word else "full" for word in rope)
        return tuple("full" if (index + 1) % 4 == 0 else "chunked" for index in range(count))
    step = _PATTERNS.get(model_type) if isinstance(model_type, str) else None
    step = whole(text.get("sliding_window_pattern")) or whole(text.get("_sliding_window_pattern")) or step
    if step and _slides(text):
        return tuple("full" if (index + 1) % step == 0 else "sliding" for index in range(count))
    if model_type == "gpt_oss":
        return tuple("full" if index % 2 else "sliding" for index in range(count))
    if _slides(text):
        first_full = whole(text.get("max_window_layers")) if str(model_type).startswith("qwen") else None
        if first_full is not None and first_full < count:
            return ("full",) * first_full + ("sliding",) * (count - first_full)
        return ("sliding",) * count
    return ("full",) * count


def _hybrid(text: Config, count: int) -> tuple[str, ...] | None:
    """Models with states beside attention. None for all others."""
    model_type = text.get("model_type")
    match model_type:
        case "mamba" | "falcon_mamba":
            return ("mamba1",) * count
        case "mamba2":
            return ("mamba2",) * count
        case "falcon_h1":
            return ("full+mamba2",) * count
        case "jamba":
            return _every(text, count, "attn_layer_period", "attn_layer_offset", "mamba1")
        case "bamba":
            places = text.get("attn_layer_indices")
            return _at(places, count, "full", "mamba2") if isinstance(places, list) else None
        case "nemotron_h":
            return _nemotron(text, count)
        case "kimi_linear":
            places = (child(text, "linear_attn_config") or {}).get("full_attn_layers")
            ones = [n - 1 for n in places if isinstance(n, int)] if isinstance(places, list) else None
            return None if ones is None else _at(ones, count, "full", "delta")
        case "minimax_m1" | "minimax_text_01":
            types = text.get("attn_type_list")
            if isinstance(types, list) and len(types) == count:
                return tuple("full" if word == 1 else "lightning" for word in types)
            return None
    interval = whole(text.get("full_attention_interval"))
    if interval and not isinstance(text.get("layer_types"), list) and text.get("linear_num_value_heads"):
        return tuple("full" if (index + 1) % interval == 0 else "gated-delta" for index in range(count))
    return None


def _nemotron(text: Config, count: int) -> tuple[str, ...] | None:
    pattern = text.get("hybrid_override_pattern")
    words = {"M": "mamba2", "*": "full", "-": "none", "E": "none"}
    if isinstance(pattern, str) and len(pattern) == count and set(pattern) <= set(words):
        return tuple(words[letter] for letter in pattern)
    blocks = text.get("layers_block_type")
    if isinstance(blocks, list) and len(blocks) == count:
        return tuple(_WORDS.get(str(word), "none") for word in blocks)
    return None


def _every(text: Config, count: int, period: str, offset: str, other: str) -> tuple[str, ...] | None:
    step, start = whole(text.get(period)), whole(text.get(offset))
    if not step or start is None:
        return None
    return tuple("full" if index % step == start else other for index in range(count))


def _at(places: Sequence[JsonValue], count: int, here: str, other: str) -> tuple[str, ...]:
    wanted = set(places)
    return tuple(here if index in wanted else other for index in range(count))
