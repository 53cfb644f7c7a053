"""vLLM's engine parameters in SGLang's words, as far as it has them: names, values, switches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hf_pack.gpu.sglang_names import SGLANG_NAMES
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.runtimes.flags import word

#: Keys whose values have other names, or names of which SGLang has some: vLLM's value to SGLang's.
_VALUES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "kv_cache_dtype": (
        "kv_cache_dtype",
        {
            "auto": "auto",
            "bfloat16": "bfloat16",
            "fp8": "fp8_e4m3",
            "fp8_e4m3": "fp8_e4m3",
            "fp8_e5m2": "fp8_e5m2",
            "nvfp4": "nvfp4",
        },
    ),
    "load_format": (
        "load_format",
        {name: name for name in ("auto", "bitsandbytes", "dummy", "gguf", "mistral", "npcache", "pt", "runai_streamer")}
        | {"safetensors": "safetensors", "sharded_state": "sharded_state"},
    ),
    "model_impl": ("model_impl", {"auto": "auto", "transformers": "transformers", "vllm": "sglang"}),
    "quantization": (
        "quantization",
        {
            name: name
            for name in (
                *("awq", "awq_marlin", "bitsandbytes", "compressed-tensors", "fp8", "gguf", "gptq", "gptq_marlin"),
                *("modelopt", "modelopt_fp4", "modelopt_mixed", "moe_wna16", "mxfp4", "mxfp8", "quark"),
            )
        }
        | {"auto_awq": "awq", "auto_gptq": "gptq", "gpt_oss_mxfp4": "mxfp4", "inc": "auto-round"},
    ),
    "scheduling_policy": ("schedule_policy", {"fcfs": "fcfs", "priority": "priority"}),
    "tokenizer_mode": ("tokenizer_mode", {"auto": "auto", "hf": "auto", "slow": "slow"}),
    "generation_config": ("sampling_defaults", {"auto": "model", "vllm": "openai"}),
}
_NO_CHANGE: JsonObject = {}
#: Switches that the two have the other way round, or that SGLang has on already.
_SWITCHES: Mapping[str, Callable[[bool], JsonObject]] = {
    "enable_chunked_prefill": lambda on: _NO_CHANGE if on else {"chunked_prefill_size": -1},
    "enable_prefix_caching": lambda on: _NO_CHANGE if on else {"disable_radix_cache": True},
}
#: One counts everything that the engine uses, the other weights and KV cache: a number of one is wrong for the other.
_OTHER_FRACTION = (
    "vLLM's gpu_memory_utilization is no number for SGLang, which takes its own default: "
    "mem_fraction_static in [sglang] says another"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """SGLang's parameters, and a sentence for each of vLLM's that it has no word for."""

    parameters: JsonObject
    notes: tuple[str, ...]


def translate(parameters: JsonObject, own: JsonObject) -> Translated:
    """What ``parameters`` (vLLM's) are to SGLang, overridden and completed by ``own`` (SGLang's already)."""
    found: dict[str, JsonValue] = {}
    notes = []
    for key, value in parameters.items():
        changed = _one(key, value)
        if key == "gpu_memory_utilization":
            if "mem_fraction_static" not in own:
                notes.append(_OTHER_FRACTION)
        elif changed is None:
            notes.append(f"SGLang has nothing for vLLM's {key} = {word(value)}: [sglang] says what it should do")
        else:
            found.update(changed)
    return Translated(parameters={**found, **own}, notes=tuple(notes))


def _one(key: str, value: JsonValue) -> JsonObject | None:
    if key == "cpu_offload_gb" and isinstance(value, float):  # whole gigabytes there
        return {key: int(value)} if value.is_integer() else None
    if key == "limit_mm_per_prompt" and not _are_counts(value):
        return None
    if key in SGLANG_NAMES:
        return {SGLANG_NAMES[key]: value}
    if key in _VALUES:
        name, values = _VALUES[key]
        return {name: values[value]} if isinstance(value, str) and value in values else None
    if key in _SWITCHES and isinstance(value, bool):
        return _SWITCHES[key](value)
    return None


def _are_counts(value: JsonValue) -> bool:
    """Whether the limits are numbers alone; vLLM takes tables of sizes too."""
    return isinstance(value, Mapping) and all(isinstance(count, int) for count in value.values())
