"""How a model is quantized: what its configs state, checked against its tensors.

Order of the sources as vLLM reads them (``get_quant_config`` and its config loader): ``quantization_config``
in config.json, else in its ``text_config``, else ``compression_config``; else hf_quant_config.json; else
quantize_config.json or quant_config.json. Where none speaks, the tensors do, and no runtime will load them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_pack.weights.model_facts import language_configs
from hf_pack.weights.quantization_scheme import (
    UNKNOWN,
    quark_part,
    scheme_of_config,
    scheme_of_tensors,
    torchao_type,
)
from hf_pack.weights.quantized_tensors import TensorScheme, packed_bits, scheme_of
from hf_pack.weights.strict_json import JsonValue, child, whole

if TYPE_CHECKING:
    from hf_pack.weights.gguf import GgufHeader
    from hf_pack.weights.safetensors import Header

Config = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """``method`` is "none", "gguf", or the ``quant_method`` word as vLLM takes it ("fp8", "awq" ...).

    ``scheme`` is the matrix's row (:mod:`hf_pack.weights.quantization_scheme`), ``activations`` ``static``, ``dynamic``
    or None where they are not quantized. ``bits`` a weight and ``group_size`` in weights, None where unknown or mixed;
    ``source`` says where the method stands. ``limits`` are the settings that a kernel may not take, as (key, value).
    ``notes`` are sentences about disagreements; ``broken`` means one of them keeps runtimes from loading it.
    """

    method: str
    scheme: str
    activations: str | None
    bits: int | None
    group_size: int | None
    source: str
    notes: tuple[str, ...]
    broken: bool
    limits: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    source: str
    method: str
    config: Config


METHOD_ALIASES = {
    "compressed_tensors": "compressed-tensors",
    "auto_awq": "awq",
    "awq_marlin": "awq",
    "auto_gptq": "gptq",
    "gptq_marlin": "gptq",
    "modelopt_fp4": "modelopt",
    "modelopt_mixed": "modelopt",
    "modelopt_mxfp8": "modelopt",
    "gpt_oss_mxfp4": "mxfp4",
    "deepseek_v4_fp8": "fp8",
}
"""Other words for a method, in configurations and in vLLM's ``quantization``: each to the one used here."""

_FITS = {
    "awq": {"awq"},
    "gptq": {"gptq"},
    "compressed-tensors": {"compressed-tensors", "fp8", "mxfp4", "mxfp8"},
    "modelopt": {"modelopt", "fp8", "mxfp8"},
    "fp8": {"fp8", "mxfp8"},
    "mxfp4": {"mxfp4"},
    "torchao": {"torchao"},
    "bitsandbytes": {"bitsandbytes"},
}  # stated method -> what its tensors may look like; a method that is not here is not checked

_QUARK_DTYPE = re.compile(r"u?(?:int|fp)(\d+)")
_TORCHAO_WEIGHT_BITS = re.compile(r"(?:int|float)(\d)_?weight", re.IGNORECASE)


def detect(
    config: Config | None,
    headers: Iterable[Header],
    *,
    hf_quant_config: Config | None = None,
    quantize_config: Config | None = None,
    gguf: GgufHeader | None = None,
) -> Quantization:
    """The quantization of a model from its parsed config.json and all its safetensors headers.

    ``hf_quant_config`` is ModelOpt's file, ``quantize_config`` the old AutoGPTQ or AutoAWQ one, ``gguf`` the
    header where the weights are GGUF (then nothing else counts). Never raises.
    """
    if gguf is not None:
        mix = f"The file's mix is {gguf.file_type}."
        return _plain("gguf", "gguf header", notes=(mix,) if gguf.file_type else ())
    headers = tuple(headers)
    seen = scheme_of(headers)
    stated = _stated(config, hf_quant_config, quantize_config)
    misplaced = _misplaced(config)
    if not stated:
        return _from_tensors(seen, misplaced)
    chosen = stated[0]
    bits, group_size = _sizes(chosen)
    scheme, activations = scheme_of_config(chosen.method, chosen.config)
    notes, broken = _disagreement(chosen, seen, has_headers=bool(headers))
    packed = packed_bits(headers, chosen.method, group_size)
    if bits is not None and packed is not None and packed != bits:
        notes.append(f"{chosen.source} says {bits} bits, but the tensors are packed with {packed} bits a weight.")
        broken = True
    notes += [
        f"{other.source} says {other.method}, but {chosen.source} says {chosen.method} and is read first."
        for other in stated[1:]
        if other.method != chosen.method
    ]
    return Quantization(
        method=chosen.method,
        scheme=scheme,
        activations=activations,
        limits=tuple((key, value) for key in ("sym", "desc_act") if isinstance(value := chosen.config.get(key), bool)),
        bits=bits if bits is not None or seen is None else seen.bits,
        group_size=group_size,
        source=chosen.source,
        notes=tuple(notes),
        broken=broken,
    )


def _plain(method: str, source: str, *, notes: tuple[str, ...] = (), broken: bool = False) -> Quantization:
    return Quantization(
        method=method,
        scheme=method if method in ("none", "gguf") else UNKNOWN,
        activations=None,
        bits=None,
        group_size=None,
        source=source,
        notes=notes,
        broken=broken,
    )


def _stated(config: Config | None, hf_quant: Config | None, quantize: Config | None) -> list[_Stated]:
    found = []
    for key in ("quantization_config", "compression_config"):
        for place, part in language_configs(config):
            inner = child(part, key)
            if inner is not None:
                found.append((f"config.json: {place + '.' if place else ''}{key}", inner))
    if hf_quant is not None:
        found.append(("hf_quant_config.json", child(hf_quant, "quantization") or hf_quant))
    if quantize is not None:
        found.append(("quantize_config.json", quantize))
    return [_Stated(source=source, method=_method(source, inner), config=inner) for source, inner in found]


def _method(source: str, config: Config) -> str:
    word = config.get("quant_method")
    if isinstance(word, str) and word:
        return METHOD_ALIASES.get(word.lower(), word.lower())
    if "quant_algo" in config:
        return "modelopt"
    if source == "quantize_config.json":
        # AutoAWQ wrote zero_point, AutoGPTQ desc_act, neither the method.
        return "awq" if "zero_point" in config else "gptq"
    if "config_groups" in config:
        return "compressed-tensors"
    return "unknown"


def _misplaced(config: Config | None) -> str | None:
    word = None if config is None else config.get("quant_method")
    return word if isinstance(word, str) and word else None


def _from_tensors(seen: TensorScheme | None, misplaced: str | None) -> Quantization:
    notes = []
    if misplaced is not None:
        notes.append(
            f"config.json says quant_method {misplaced!r} at its top level, where no runtime looks: "
            "it belongs inside quantization_config."
        )
    if seen is None:
        return _plain("none", "no quantization in configs or tensors", notes=tuple(notes), broken=bool(notes))
    notes.append(
        f"The tensors are quantized ({seen.evidence}) but config.json has no quantization_config: "
        "runtimes refuse the model or load it without its scales."
    )
    return Quantization(
        method=seen.method,
        scheme=scheme_of_tensors(seen.method, seen.bits),
        activations=None,
        bits=seen.bits,
        group_size=seen.group_size,
        source="tensors",
        notes=tuple(notes),
        broken=True,
    )


def _disagreement(chosen: _Stated, seen: TensorScheme | None, *, has_headers: bool) -> tuple[list[str], bool]:
    fits = _FITS.get(chosen.method)
    if fits is None or not has_headers:
        return [], False
    if seen is None:
        return [f"{chosen.source} says {chosen.method}, but no tensor looks quantized."], False
    if seen.method in fits:
        return [], False
    note = f"{chosen.source} says {chosen.method}, but the tensors look like {seen.method} ({seen.evidence})."
    return [note], True


def _sizes(stated: _Stated) -> tuple[int | None, int | None]:
    config = stated.config
    group_size = whole(config.get("group_size"))
    if group_size is None:
        group_size = whole(config.get("q_group_size"))
    for key in ("bits", "w_bit"):
        bits = whole(config.get(key))
        if bits is not None:
            return bits, group_size
    if stated.method == "compressed-tensors":
        return _group_sizes(config)
    if stated.method == "torchao":
        return _torchao_sizes(config)
    if stated.method == "modelopt":
        # Its own file has the size at the top, config.json in the groups of compressed-tensors' form.
        return _modelopt_bits(config), group_size if group_size is not None else _group_sizes(config)[1]
    if stated.method == "quark":
        return _quark_sizes(config)
    if stated.method == "bitsandbytes":
        return (4 if config.get("load_in_4bit") is True else 8), group_size
    return {"fp8": 8, "mxfp4": 4, "mxfp8": 8}.get(stated.method), group_size


def _weights(config: Config) -> list[Config]:
    groups = child(config, "config_groups") or {}
    parts = [child(group, "weights") for group in groups.values() if isinstance(group, dict)]
    return [part for part in parts if part is not None]


def _group_sizes(config: Config) -> tuple[int | None, int | None]:
    bits = {whole(part.get("num_bits")) for part in _weights(config)}
    sizes = {whole(part.get("group_size")) for part in _weights(config)}
    return (bits.pop() if len(bits) == 1 else None), (sizes.pop() if len(sizes) == 1 else None)


def _modelopt_bits(config: Config) -> int | None:
    algorithm = config.get("quant_algo")
    if not isinstance(algorithm, str) or algorithm == "MIXED_PRECISION":
        return None
    return 4 if re.search(r"FP4|W4|INT4", algorithm) else 8


def _torchao_sizes(config: Config) -> tuple[int | None, int | None]:
    kind, data = torchao_type(config)
    match = _TORCHAO_WEIGHT_BITS.search(kind)
    return (int(match[1]) if match else None), whole(data.get("group_size"))


def _quark_sizes(config: Config) -> tuple[int | None, int | None]:
    """(bits, group size) of the smaller step; a model whose layers differ has no one answer."""
    if child(config, "layer_quant_config"):
        return None, None
    steps = [
        (int(match[1]), whole(part.get("group_size")))
        for part in quark_part(config, "weight")
        if (match := _QUARK_DTYPE.match(str(part.get("dtype"))))
    ]
    return min(steps, key=lambda step: step[0], default=(None, None))
