"""Everything that speaks against a model on a GPU with a runtime, other than its size; each with its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

from hf_pack.gpu.catalogue import Gpu
from hf_pack.gpu.facts import Facts
from hf_pack.gpu.matrix import Cell, Support
from hf_pack.gpu.settings import SGLANG, Settings, refuses_float16
from hf_pack.weights.cache_layers import Shape
from hf_pack.weights.quantization import METHOD_ALIASES

Level = Literal["error", "warning", "note"]
Kind = Literal["unsupported", "unknown", "size", ""]

_SGLANG_ALIASES = {
    "compressed-tensors": {"w8a8_int8", "w8a8_fp8"},
    "fp8": {"w8a8_fp8"},
    "modelopt": {"modelopt_fp8", "modelopt_fp4"},
}
#: Methods that a checkpoint must have been made with; the others quantize plain weights while these are loaded.
_NEEDS_FILES = frozenset({"awq", "gptq", "compressed-tensors", "modelopt", "gguf", "inc", "auto-round", "quark"})
_GROUPS = frozenset({-1, 32, 64, 128})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One sentence. ``kind`` is what it decides: ``unsupported``, ``unknown``, ``size``, or nothing.

    ``mend`` is what helps: a sentence, and where it is a manifest entry, its lines.
    """

    level: Level
    text: str
    source: str = ""
    kind: Kind = ""
    mend: str = ""

    def __str__(self) -> str:
        """For a person: its source behind it, below it what helps."""
        source = f" [{self.source}]" if self.source else ""
        return "\n  ".join((f"{self.text}{source}", *self.mend.splitlines()))

    @classmethod
    def error(cls, text: str, source: str = "", kind: Kind = "size") -> Self:
        """It keeps the model from running."""
        return cls(level="error", text=text, source=source, kind=kind)

    @classmethod
    def warning(cls, text: str, source: str = "", kind: Kind = "") -> Self:
        """It may go wrong, or worse than it could."""
        return cls(level="warning", text=text, source=source, kind=kind)

    @classmethod
    def note(cls, text: str, source: str = "") -> Self:
        """How it is."""
        return cls(level="note", text=text, source=source)


def objections(
    facts: Facts, gpu: Gpu, count: int, settings: Settings, shape: Shape, cell: Cell, row: str
) -> Iterator[Reason]:
    """In the order in which a person should read them."""
    yield from _broken(facts)
    yield _kernel(gpu, settings, cell, row)
    if cell.notes:
        yield Reason.note(cell.notes, cell.source)
    yield from _dtype(facts, gpu, settings)
    yield from _forced(facts, settings)
    yield from _limits(facts, settings)
    yield from _parallel(settings, shape, count)
    yield from _length(settings)
    if gpu.free is not None and settings.runtime != SGLANG and gpu.free < int(gpu.memory * settings.memory_fraction):
        yield Reason.error(
            f"{gpu.name} has {gpu.free / 2**30:.1f} GiB free now, vLLM asks for "
            f"{gpu.memory * settings.memory_fraction / 2**30:.1f} GiB when it starts",
            "vLLM 0.33.0: v1/worker/utils.py request_memory",
            "unsupported",
        )


def _broken(facts: Facts) -> Iterator[Reason]:
    quantization = facts.quantization
    for note in quantization.notes:
        if quantization.broken:
            yield Reason.error(note, "the model's own files", "unsupported")
        else:
            yield Reason.note(note, "the model's own files")


def _kernel(gpu: Gpu, settings: Settings, cell: Cell, row: str) -> Reason:
    where = f"{row} on SM{gpu.sm} ({gpu.name}) with {settings.runtime}"
    by = f" by {cell.kernel}" if cell.kernel else ""
    match cell.support:
        case Support.UNSUPPORTED:
            return Reason.error(f"{where}: not supported", cell.source, "unsupported")
        case Support.UNKNOWN:
            return Reason.warning(f"{where}: not known", cell.source, "unknown")
        case Support.NATIVE:
            return Reason.note(f"{where}: native{by}", cell.source)
        case Support.MARLIN:
            return Reason.note(f"{where}: a mixed-precision kernel{by}", cell.source)
        case Support.WEIGHT_ONLY:
            return Reason.note(f"{where}: weights are small, the computation is 16 bits{by}", cell.source)
    return Reason.warning(f"{where}: emulated{by}, slower than 16-bit weights", cell.source)


def _dtype(facts: Facts, gpu: Gpu, settings: Settings) -> Iterator[Reason]:
    if settings.dtype == "bfloat16" and gpu.sm < 80:
        yield Reason.error(
            f"dtype bfloat16 needs SM80, {gpu.name} has SM{gpu.sm}: take dtype auto or float16",
            "vLLM 0.33.0: check_if_supports_dtype",
            "unsupported",
        )
    if settings.dtype == "float16" and refuses_float16(facts):
        yield Reason.error(
            f"{facts.model_type} models do not run in float16",
            "vLLM 0.33.0: config/model.py _FLOAT16_NOT_SUPPORTED_MODELS",
            "unsupported",
        )
    if facts.dtype == "bfloat16" and settings.dtype != "bfloat16":
        yield Reason.note(
            f"dtype auto is {settings.dtype} on SM{gpu.sm}, the model was made in bfloat16",
            "vLLM 0.33.0: config/model.py _resolve_auto_dtype",
        )
    if settings.dtype == "float32" and facts.dtype != "float32":
        yield Reason.warning("float32 takes twice the memory", "vLLM 0.33.0: config/model.py _resolve_auto_dtype")


def _forced(facts: Facts, settings: Settings) -> Iterator[Reason]:
    forced, method = settings.quantization, facts.quantization.method
    if forced is None:
        return
    allowed = accepted_methods(method, settings.runtime)
    if method == "none" and METHOD_ALIASES.get(forced, forced) in _NEEDS_FILES:
        yield Reason.error(
            f"the engine parameters say quantization = {forced!r}, but the model's files are not quantized",
            "vLLM 0.33.0: get_quant_config finds no configuration",
            "unsupported",
        )
    elif method == "none":
        yield Reason.note(f"quantization = {forced!r} quantizes the plain weights while they are loaded")
    elif forced not in allowed:
        yield Reason.error(
            f"the engine parameters say quantization = {forced!r}, the model's files say {method}: "
            "take the parameter out, the runtime reads the files",
            "vLLM 0.33.0: ModelConfig._verify_quantization raises on a mismatch",
            "unsupported",
        )
    else:
        yield Reason.note(f"quantization = {forced!r} is not needed: the model's files say it")


def accepted_methods(method: str, runtime: str) -> frozenset[str]:
    """What a runtime's ``quantization`` may say of a model whose files say ``method``."""
    words = {method} | {word for word, meant in METHOD_ALIASES.items() if meant == method}
    if method == "auto-round":  # vLLM's own word for it
        words.add("inc")
    return frozenset(words | _SGLANG_ALIASES.get(method, set()) if runtime == SGLANG else words)


def _limits(facts: Facts, settings: Settings) -> Iterator[Reason]:
    """What of AWQ and GPTQ no kernel of vLLM takes."""
    found = facts.quantization
    if found.method not in ("awq", "gptq"):
        return
    limits = dict(found.limits)
    source = "vLLM 0.33.0: AutoAWQConfig and AutoGPTQConfig TYPE_MAP, normalize_and_validate_gptq_desc_act"
    bits = (4,) if found.method == "awq" else (4, 8)
    if found.bits is not None and found.bits not in bits:
        yield Reason.error(
            f"{found.method} of {found.bits} bits: kernels are there for {' and '.join(map(str, bits))} bits",
            source,
            "unsupported",
        )
    if found.group_size is not None and found.group_size not in _GROUPS:
        yield Reason.error(
            f"{found.method} in groups of {found.group_size}: kernels are there for -1, 32, 64 and 128",
            source,
            "unsupported",
        )
    if found.method == "gptq" and limits.get("sym") is False:
        yield Reason.error("asymmetric GPTQ (sym = false) has no kernel", source, "unsupported")
    if limits.get("desc_act") is True and found.group_size not in (None, -1) and settings.runtime != SGLANG:
        yield Reason.error("GPTQ with desc_act = true and groups is refused", source, "unsupported")


def _parallel(settings: Settings, shape: Shape, count: int) -> Iterator[Reason]:
    parallel = settings.tensor_parallel
    if parallel > count:
        yield Reason.error(
            f"tensor parallelism over {parallel} GPUs, but {count} are there: name more, e.g. --gpu '{parallel}x …'",
            kind="unsupported",
        )
    elif parallel < count:
        yield Reason.note(f"{parallel} of {count} GPUs are used")
    if shape.attention_heads is not None and shape.attention_heads % parallel:
        yield Reason.error(
            f"{shape.attention_heads} attention heads do not divide by tensor parallelism {parallel}",
            "vLLM 0.33.0: config/model.py verify_with_parallel_config",
            "unsupported",
        )


def _length(settings: Settings) -> Iterator[Reason]:
    asked, allowed = settings.max_model_len, settings.derived_len
    if settings.stated_len and asked is not None and allowed is not None and asked > allowed:
        yield Reason.error(
            f"max_model_len {asked:,} is more than the model's own {allowed:,}",
            "vLLM 0.33.0: config/model.py _get_and_verify_max_len",
            "unsupported",
        )
