"""Which row of the compatibility matrix a quantized model is: its method, and what of the method decides the kernel.

The words are the matrix's own (``data/quant-matrix.csv``). Rules: vLLM 0.33.0, ``model_executor/layers/quantization``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hf_pack.weights.strict_json import JsonValue, child, whole

Config = Mapping[str, JsonValue]

UNKNOWN = "unknown"
_SAME = frozenset({"awq", "gptq", "bitsandbytes", "gguf", "none"})


def scheme_of_config(method: str, config: Config) -> tuple[str, str | None]:
    """(scheme, ``static``, ``dynamic`` or None for weight-only) of what a configuration states under ``method``.

    Where layers differ, the scheme is all of theirs, sorted, with ``+`` between: a GPU must do each of them.
    """
    if method in _SAME:
        return method, None
    match method:
        case "fp8":
            block = isinstance(config.get("weight_block_size"), list)
            activations = config.get("activation_scheme")
            return "fp8-block" if block else "fp8-tensor", activations if isinstance(activations, str) else "dynamic"
        case "modelopt":
            return _modelopt(config)
        case "compressed-tensors":
            return _compressed_tensors(config)
        case "torchao":
            return _torchao(config)
        case "mxfp4":
            return "mxfp4-moe", None
        case "mxfp8":
            return "modelopt-mxfp8", "dynamic"
        case "auto-round" | "inc":
            return _auto_round(config), None
        case "quark":
            return "quark", _quark_activations(config)
    return UNKNOWN, None


def schemes(scheme: str) -> tuple[str, ...]:
    """The matrix's rows in a scheme; more than one where layers differ."""
    return tuple(scheme.split("+"))


def _together(found: set[tuple[str, str | None]]) -> tuple[str, str | None]:
    """One answer for several groups of layers; the most that any does to activations."""
    if not found:
        return UNKNOWN, None
    activations = {how for _, how in found}
    most = next((how for how in ("dynamic", "static") if how in activations), None)
    return "+".join(sorted({name for name, _ in found})), most


def _auto_round(config: Config) -> str:
    """Its files are GPTQ's or AWQ's, and vLLM's ``quantization/inc`` takes their kernels, by ``packing_format``."""
    packing = _text(config, "packing_format")
    if config.get("data_type", "int") != "int":
        return UNKNOWN
    return "awq" if "awq" in packing else "gptq" if "gptq" in packing else UNKNOWN


def _quark_activations(config: Config) -> str | None:
    """What AMD's Quark does to the inputs of the layers that have no setting of their own; the first of two steps."""
    inputs = quark_part(config, "input_tensors")
    if not inputs:
        return None
    return "dynamic" if inputs[0].get("is_dynamic") is True else "static"


def quark_part(config: Config, key: str) -> list[Config]:
    """``weight`` or ``input_tensors`` of ``global_quant_config``: one setting, or two where it takes two steps."""
    part = (child(config, "global_quant_config") or {}).get(key)
    steps = part if isinstance(part, list) else [part]
    return [step for step in steps if isinstance(step, dict)]


def scheme_of_tensors(method: str, bits: int | None) -> str:
    """The scheme where only tensors speak. Such a model is broken, but this is what it would be."""
    if method in _SAME:
        return method
    return {("fp8", 8): "fp8-tensor", ("mxfp4", 4): "mxfp4-moe", ("modelopt", 4): "nvfp4"}.get(
        (method, bits or 0), UNKNOWN
    )


def _modelopt(config: Config) -> tuple[str, str | None]:
    if config.get("quant_algo") == "MIXED_PRECISION":
        layers = (child(config, "quantized_layers") or {}).values()
        return _together({_modelopt(layer) for layer in layers if isinstance(layer, dict)})
    algorithm = str(config.get("quant_algo") or "")
    if algorithm == "NVFP4":
        groups = _groups(config)
        if groups and all(not isinstance(group.get("input_activations"), dict) for group in groups):
            return "nvfp4-w4a16", None
        return "nvfp4", "dynamic"
    words = {
        "W4A16_NVFP4": ("nvfp4-w4a16", None),
        "FP8": ("modelopt-fp8", "static"),
        "FP8_PER_CHANNEL_PER_TOKEN": ("modelopt-fp8", "dynamic"),
        "FP8_PB_WO": ("modelopt-fp8", "dynamic"),
        "MXFP8": ("modelopt-mxfp8", "dynamic"),
    }
    return words.get(algorithm, (UNKNOWN, None))


def _compressed_tensors(config: Config) -> tuple[str, str | None]:
    groups = _groups(config)
    found = {_group_scheme(group, _text(group, "format") or _text(config, "format")) for group in groups}
    return _together(found)


def _group_scheme(group: Config, form: str) -> tuple[str, str | None]:
    weights, inputs = child(group, "weights"), child(group, "input_activations")
    if weights is None:
        return UNKNOWN, None
    bits, kind, strategy = whole(weights.get("num_bits")), _text(weights, "type"), _text(weights, "strategy")
    activations = None if inputs is None else "static" if inputs.get("dynamic") is False else "dynamic"
    match kind, bits:
        case "float", 4:
            if whole(weights.get("group_size")) == 32 or form.startswith("mxfp4"):
                return ("mxfp4-dense", activations) if inputs is not None else ("mxfp4-w4a16", None)
            return ("nvfp4", "dynamic") if inputs is not None else ("nvfp4-w4a16", None)
        case "float", 8:
            if form.startswith("mxfp8"):
                return "mxfp8", activations
            if inputs is None:
                return "fp8-w8a16", None
            return ("fp8-block" if strategy == "block" else "fp8-channel"), activations
        case "int", 8 if inputs is not None:
            return "int8-w8a8", activations
        case "int", 4 if inputs is not None:
            return ("w4a8-fp8" if _text(inputs, "type") == "float" else UNKNOWN), activations
        case "int", 4 | 8:
            return "wna16", None
    return UNKNOWN, activations


def _torchao(config: Config) -> tuple[str, str | None]:
    kind, _ = torchao_type(config)
    word = re.sub(r"[^a-z0-9]", "", kind.lower())
    if "float8dynamicactivationfloat8weight" in word:
        return "torchao-fp8-dynamic", "dynamic"
    if "float8weightonly" in word:
        return "torchao-fp8-weight-only", None
    if "int4weightonly" in word:
        return "torchao-int4-weight-only", None
    return "torchao-other", None


def torchao_type(config: Config) -> tuple[str, Config]:
    """torchao's class name (or old short name) and its fields."""
    inner: JsonValue = config.get("quant_type")
    if isinstance(inner, dict):
        inner = inner.get("default", inner)
    if isinstance(inner, dict):
        kind = inner.get("_type")
        return (kind if isinstance(kind, str) else ""), child(inner, "_data") or {}
    return (inner if isinstance(inner, str) else ""), {}


def _groups(config: Config) -> list[Config]:
    groups = child(config, "config_groups") or {}
    return [group for group in groups.values() if isinstance(group, dict)]


def _text(config: Config, key: str) -> str:
    value = config.get(key)
    return value if isinstance(value, str) else ""
