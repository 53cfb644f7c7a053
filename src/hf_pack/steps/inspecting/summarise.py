"""What headers and configuration say of a model, in the words of the lock. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_pack.model.lock import ModelSummary
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.licence import disagreements, licence_of, spdx
from hf_pack.weights.mistral_params import config_of_params
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.quantization import Quantization, detect
from hf_pack.weights.strict_json import JsonValue
from hf_pack.weights.tensor_parts import weight_parts

if TYPE_CHECKING:
    from hf_pack.weights.gguf import GgufHeader
    from hf_pack.weights.safetensors import Header

_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The model for the lock, the licence as its files state it, and lines for the person."""

    model: ModelSummary
    licence: str | None
    notes: tuple[str, ...]


def summarise(
    *,
    configs: Mapping[str, Mapping[str, JsonValue]],
    headers: Iterable[Header],
    gguf: GgufHeader | None,
    texts: Mapping[str, bytes],
    stated_licence: str | None = None,
) -> Summary:
    """``configs`` are the parsed files at the model's top by name, ``texts`` README.md and the licence files.

    ``stated_licence`` is what the Hub's metadata says: it is compared, and a package is the same however it came.
    """
    headers = tuple(headers)
    config = model_config(configs)
    facts = model_facts(config, configs.get("tokenizer_config.json"))
    quantization = quantization_of(configs, headers, gguf)
    sizes: Counter[str] = Counter()
    for header in headers:
        for tensor in header.tensors:
            sizes[tensor.dtype] += tensor.size
    readme = next((data for path, data in texts.items() if path.lower() == "readme.md"), None)
    licences = {path: data for path, data in texts.items() if path.lower() != "readme.md"}
    model = ModelSummary(
        architectures=facts.architectures,
        model_type=facts.model_type or (gguf.architecture if gguf else None),
        dtype=facts.dtype or _commonest(sizes),
        context_length=facts.context_length or (gguf.context_length if gguf else None),
        parameters=_parameters(headers, quantization),
        bytes_by_dtype=tuple(sorted(sizes.items())),
        quantization_method=quantization.method,
        quantization_scheme=quantization.scheme,
        quantization_bits=quantization.bits,
        quantization_group_size=quantization.group_size if (quantization.group_size or 0) > 0 else None,
        quantization_activations=quantization.activations,
        quantization_broken=quantization.broken,
        weight_parts=tuple(
            (f"{part.part} {part.dtype}", part.size) for part in weight_parts(headers, shape_of(config).hidden_layers)
        ),
        notes=quantization.notes,
    )
    return Summary(
        model=model,
        licence=licence_of(readme, licences) or _spdx(gguf.license if gguf else None),
        notes=(
            *quantization.notes,
            *_notes(configs),
            *disagreements(readme, licences, {"GGUF": gguf.license if gguf else None, "the Hub": stated_licence}),
        ),
    )


def model_config(configs: Mapping[str, Mapping[str, JsonValue]]) -> Mapping[str, JsonValue]:
    """What says of what shape the model is; empty where nothing does.

    ``params.json`` is packaged with the consolidated weights that it is of (:mod:`hf_pack.model.selection`).
    """
    config, params = configs.get("config.json", {}), configs.get("params.json", {})
    return config_of_params(params, config) if "dim" in params else config or params  # others have a file so named too


def quantizer_config(configs: Mapping[str, Mapping[str, JsonValue]]) -> Mapping[str, JsonValue] | None:
    """The file beside ``config.json`` that AutoGPTQ and AutoAWQ wrote before it had a place for them."""
    return configs.get("quantize_config.json") or configs.get("quant_config.json")


def quantization_of(
    configs: Mapping[str, Mapping[str, JsonValue]], headers: Iterable[Header] = (), gguf: GgufHeader | None = None
) -> Quantization:
    """How the model is quantized, from all files that may say it; without headers what the configuration states."""
    return detect(
        model_config(configs),
        headers,
        hf_quant_config=configs.get("hf_quant_config.json"),
        quantize_config=quantizer_config(configs),
        gguf=gguf,
    )


def _spdx(stated: str | None) -> str | None:
    return None if not stated else spdx(stated)


def _commonest(sizes: Counter[str]) -> str | None:
    floats = [(size, _DTYPES[dtype]) for dtype, size in sizes.items() if dtype in _DTYPES]
    return max(floats)[1] if floats else None


def _parameters(headers: tuple[Header, ...], quantization: Quantization) -> int | None:
    # Weights packed into wider integers, and the scales beside quantized ones, would count wrong.
    if not headers or (quantization.method != "none" and quantization.bits != 8):
        return None
    return sum(
        tensor.parameters
        for header in headers
        for tensor in header.tensors
        if quantization.method == "none" or "scale" not in tensor.name.rpartition(".")[2]
    )


def _notes(configs: Mapping[str, Mapping[str, JsonValue]]) -> Iterable[str]:
    if "adapter_config.json" in configs and "config.json" not in configs:
        base = configs["adapter_config.json"].get("base_model_name_or_path")
        yield f"this is an adapter: it needs its base model, {base or 'which it does not name'}"
