"""The settings that a runtime would take: what was asked for, else the package's, else its own defaults.

vLLM 0.33.0: ``config/cache.py`` (0.92), ``engine/arg_utils.py`` ``get_batch_defaults``, ``config/model.py``
``_get_and_verify_max_len`` and ``_resolve_auto_dtype``. SGLang 0.5.23: ``arg_groups/memory_hook.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hf_pack.gpu.catalogue import GIB, MIB, Gpu
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.kv_form import KV_FORMS, KvForm
from hf_pack.gpu.sglang_names import SGLANG_NAMES
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.weights.cache_layers import language_config
from hf_pack.weights.strict_json import child, whole

VLLM, SGLANG, TRITON = "vllm", "sglang", "triton"
ONLINE_FP8 = frozenset({"fp8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel"})
"""What ``quantization`` may say to make plain weights FP8 while they are loaded (vLLM's online shorthands)."""

#: Theirs to ours; the share of the memory that the package states for SGLang is SGLang's.
_FROM_SGLANG = {theirs: ours for ours, theirs in SGLANG_NAMES.items()}
_FROM_SGLANG |= {"mem_fraction_static": "gpu_memory_utilization"}
_NONSENSE = 1_000_000  #: times; no model stretches its positions so far, and JSON can write infinity
_ALREADY_SCALED = frozenset({"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Resolved. ``max_model_len`` None: the model does not say how long it may be. Lengths are tokens."""

    runtime: str
    tensor_parallel: int
    max_model_len: int | None
    derived_len: int | None  #: what the model itself allows
    stated_len: bool  #: somebody asked for max_model_len
    auto_fit: bool  #: max_model_len = -1: the runtime takes what fits
    memory_fraction: float
    kv_dtype: str
    kv_form: KvForm | None  #: None: nobody here knows how much this dtype keeps
    dtype: str  #: of the computation
    batched_tokens: int
    sequences: int
    eager: bool
    prefix_caching: bool
    loads_draft: bool
    loads_vision: bool
    quantization: str | None  #: what the engine parameters force
    kv_memory: int | None  #: bytes, instead of what is left


def engine_of(runtime: str) -> str:
    """The runtime that runs the model: Triton's backend is vLLM."""
    return VLLM if runtime == TRITON else runtime


def engine_parameters(tables: Mapping[str, JsonObject], runtime: str) -> JsonObject:
    """A package's tables for a runtime in vLLM's words: Triton starts vLLM, SGLang has words of its own."""
    vllm = dict(tables.get(VLLM, {}))
    if runtime == VLLM:
        return vllm
    own = tables.get(runtime, {})
    if runtime == TRITON:
        return {**vllm, **own}
    vllm.pop("gpu_memory_utilization", None)  # SGLang's fraction is of another thing, and its default holds
    return {**vllm, **{_FROM_SGLANG.get(key, key): value for key, value in own.items()}}


def stated_parallelism(tables: Mapping[str, JsonObject], runtime: str) -> int | None:
    """Over how many GPUs a package's tables spread it with a runtime; None where they do not say."""
    found = whole(engine_parameters(tables, runtime).get("tensor_parallel_size"))
    return found if found is not None and found > 0 else None


def resolve(facts: Facts, gpu: Gpu, count: int, runtime: str, options: Options) -> Settings:
    """The settings on ``count`` GPUs like ``gpu``."""
    given = engine_parameters(facts.engine_parameters, runtime)
    text = language_config(facts.config)
    derived = derived_length(facts)
    asked = options.max_model_len if options.max_model_len is not None else whole(given.get("max_model_len"))
    auto_fit = asked == -1
    stated = None if auto_fit else asked
    parallel = options.tensor_parallel or stated_parallelism(facts.engine_parameters, runtime) or count
    tokens, sequences = _batch(gpu, runtime)
    kv_dtype = options.kv_dtype or _text(given.get("kv_cache_dtype")) or "auto"
    dtype = resolved_dtype(facts, gpu, options.dtype or _text(given.get("dtype")) or "auto")
    fraction = options.memory_fraction or _share(given.get("gpu_memory_utilization"))
    batched = whole(given.get("max_num_batched_tokens")) or tokens
    return Settings(
        runtime=runtime,
        tensor_parallel=parallel,
        max_model_len=stated or _default_length(text, derived),
        derived_len=derived,
        stated_len=stated is not None,
        auto_fit=auto_fit,
        memory_fraction=fraction or _default_fraction(gpu, runtime, parallel, batched),
        kv_dtype=kv_dtype,
        kv_form=_kv_form(facts, kv_dtype, dtype),
        dtype=dtype,
        batched_tokens=batched,
        sequences=whole(given.get("max_num_seqs")) or sequences,
        eager=given.get("enforce_eager") is True,
        prefix_caching=given.get("enable_prefix_caching") is not False,
        loads_draft=isinstance(given.get("speculative_config"), dict),
        loads_vision=given.get("language_model_only") is not True,
        quantization=_text(given.get("quantization")),
        kv_memory=whole(given.get("kv_cache_memory_bytes")),
    )


def derived_length(facts: Facts) -> int | None:
    """The longest sequence that the model allows, as vLLM derives it."""
    text = language_config(facts.config)
    length = facts.context_length
    if length is None or "gemma3" in str(text.get("model_type")):
        return length
    for rope in _ropes(text):
        kind = rope.get("rope_type", rope.get("type"))
        factor = _number(rope.get("factor")) or 0
        if isinstance(kind, str) and kind not in _ALREADY_SCALED and kind != "default" and 0 < factor < _NONSENSE:
            return int(length * factor)
    return length


def resolved_dtype(facts: Facts, gpu: Gpu, asked: str) -> str:
    """``auto`` as vLLM takes it: the configuration's, 16 bits for float32, and what the GPU can.

    Models that do not bear float16 run in float32 where the GPU has no bfloat16.
    """
    words = {"half": "float16", "float": "float32", "fp16": "float16", "bf16": "bfloat16"}
    if asked != "auto":
        return words.get(asked, asked)
    able = ["bfloat16", "float16", "float32"] if gpu.sm >= 80 else ["float16", "float32"]
    if refuses_float16(facts):
        able.remove("float16")
    wanted = facts.dtype or "float32"
    return able[0] if wanted == "float32" or wanted not in able else wanted


def refuses_float16(facts: Facts) -> bool:
    """``_FLOAT16_NOT_SUPPORTED_MODELS`` of vLLM's ``config/model.py``."""
    return facts.model_type in ("gemma2", "gemma3", "gemma3_text", "glm4")


def _default_length(text: JsonObject, derived: int | None) -> int | None:
    if any(rope.get("rope_type", rope.get("type")) in ("longrope", "su") for rope in _ropes(text)):
        return whole(text.get("original_max_position_embeddings")) or derived
    return derived


def _ropes(text: JsonObject) -> list[JsonObject]:
    found = [child(text, key) for key in ("rope_parameters", "rope_scaling")]
    return [rope for rope in found if rope is not None]


def _kv_form(facts: Facts, kv_dtype: str, dtype: str) -> KvForm | None:
    if kv_dtype == "auto":
        kv_dtype = "fp8" if checkpoint_kv_is_fp8(facts.config) else dtype
    return KV_FORMS.get(kv_dtype)


def checkpoint_kv_is_fp8(config: JsonObject) -> bool:
    """Whether the checkpoint asks for an FP8 KV cache (vLLM ``get_kv_cache_quant_algo_string``)."""
    inner = child(config, "quantization_config") or child(language_config(config), "quantization_config") or {}
    scheme = child(inner, "kv_cache_scheme")
    return inner.get("kv_cache_quant_algo") == "FP8" or (
        scheme is not None and scheme.get("num_bits") == 8 and scheme.get("type") == "float"
    )


def _batch(gpu: Gpu, runtime: str) -> tuple[int, int]:
    """(tokens, sequences) in one step when nobody says."""
    if runtime == SGLANG:
        steps = ((20, 2048, 8), (35, 4096, 48), (60, 4096, 32), (160, 8192, 256))
        return next(((tokens, most) for size, tokens, most in steps if gpu.memory < size * GIB), (16384, 512))
    if gpu.memory >= 160 * GIB:
        return 16384, 1024
    if gpu.memory >= 70 * GIB and "a100" not in gpu.name.lower() and gpu.sm != 121:
        return 8192, 1024
    return 2048, 256


def _default_fraction(gpu: Gpu, runtime: str, parallel: int, batched: int) -> float:
    if runtime == SGLANG:
        total = gpu.memory / MIB
        graphs = _batch(gpu, runtime)[1] * 2
        reserved = 512 + max(batched, 2048) * 1.5 + parallel / 8 * 1024 + graphs
        if total > 60 * 1024:
            reserved = max(reserved, 10 * 1024)
        return round((total - reserved) / total, 3)
    return 0.92


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _share(value: JsonValue) -> float | None:
    """Of the whole; None for what runtimes refuse."""
    found = _number(value) or 0
    return found if 0 < found <= 1 else None


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
