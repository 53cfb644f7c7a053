"""Mistral's own ``params.json`` in the words of ``config.json``, as vLLM puts it: it reads no other configuration where
weights are consolidated, whatever a ``config.json`` beside them says (0.33.0: ``transformers_utils/config.py``
``MistralConfigParser``, ``transformers_utils/configs/mistral.py`` ``adapt_config_dict``).
"""

from __future__ import annotations

from collections.abc import Mapping

from hf_pack.weights.model_facts import language_configs
from hf_pack.weights.strict_json import JsonValue, child, whole

Config = Mapping[str, JsonValue]

_NAMES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "hidden_dim": "intermediate_size",
    "tied_embeddings": "tie_word_embeddings",
    "expert_hidden_dim": "moe_intermediate_size",
}
_NESTED = frozenset({"text_config", "llm_config", "language_config", "vision_config", "audio_config"})
_DEFAULT_LENGTH = 128_000  # tokens
_MOST_LAYERS = 10_000


def config_of_params(params: Config, config: Config) -> dict[str, JsonValue]:
    """``params`` as a configuration; what it does not say, ``config`` (empty where there is none) says at its top.

    Fields that are out of shape count as absent, nothing is raised.
    """
    moe = child(params, "moe") or {}
    text = {
        _NAMES.get(key, key): value for key, value in {**moe, **params}.items() if key not in ("moe", "max_seq_len")
    }
    windows, layers = params.get("sliding_window"), whole(params.get("n_layers")) or 0
    if isinstance(windows, list) and windows:
        kinds: list[JsonValue] = ["sliding_attention" if window else "full_attention" for window in windows]
        text["layer_types"] = kinds * (min(layers, _MOST_LAYERS) // len(kinds))
        text["sliding_window"] = next(filter(None, windows), None)
    if params.get("model_type") == "mamba":
        model_type, architecture = "mamba2", "Mamba2ForCausalLM"
    elif whole(moe.get("num_shared_experts")) or params.get("qk_nope_head_dim"):  # Large 3, Small 4, and their drafts
        model_type, architecture = "deepseek_v3", "MistralLarge3ForCausalLM"
    else:
        model_type, architecture = "transformer", "MixtralForCausalLM" if moe else "MistralForCausalLM"
    senses = child(params, "multimodal") or {}
    if params.get("vision_encoder") or senses.get("vision_encoder_args"):
        architecture = "PixtralForConditionalGeneration"
    elif senses.get("whisper_model_args"):
        architecture = "VoxtralForConditionalGeneration"
    text |= {
        "model_type": model_type,
        "architectures": [architecture],
        "tie_word_embeddings": params.get("tied_embeddings") is True,
        "max_position_embeddings": _length(params, config),
        **_quantization(params),
    }
    return {**{key: value for key, value in config.items() if key not in _NESTED}, **text}


def _length(params: Config, config: Config) -> int:
    """The shortest of the lengths that it states, as vLLM takes it."""
    stated = [found for key in ("max_position_embeddings", "max_seq_len") if (found := whole(params.get(key)))]
    if "max_position_embeddings" not in params:
        beside = [whole(part.get("max_position_embeddings")) for _, part in language_configs(config)]
        stated.append(next(filter(None, beside), _DEFAULT_LENGTH))
    return min(stated, default=_DEFAULT_LENGTH)


def _quantization(params: Config) -> dict[str, JsonValue]:
    found = child(params, "quantization")
    if found is None:
        return {}
    if found.get("qformat_weight") == "fp8_e4m3":
        scheme = "dynamic" if found.get("qscheme_act") == "NO_SCALES" else "static"
        return {"quantization_config": {"quant_method": "fp8", "activation_scheme": scheme}}
    method = str(found.get("quant_method", "")).lower().replace("_", "-")
    return {"quantization_config": {**found, "quant_method": method}}
