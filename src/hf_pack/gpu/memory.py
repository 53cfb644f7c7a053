"""What each GPU holds: weights, KV cache, and an estimate of the rest with its uncertainty.

The weights follow from the headers. The rest (CUDA's own context, the activations of the largest step, CUDA graphs) is
what the runtime measures when it starts; the estimate here is made from shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.gpu.catalogue import GIB, MIB, Gpu
from hf_pack.gpu.facts import Facts
from hf_pack.gpu.settings import ONLINE_FP8, SGLANG, Settings
from hf_pack.weights.cache_layers import Shape, language_config
from hf_pack.weights.safetensors import DTYPE_BITS
from hf_pack.weights.strict_json import first, whole
from hf_pack.weights.tensor_parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An estimate in bytes: at least, probably, at most."""

    low: int
    likely: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One GPU's memory in bytes. ``budget`` is what the runtime takes at all; ``kv`` is left for the cache."""

    total: int
    budget: int
    weights: int
    overhead: Span
    kv: Span  #: may be negative: that much is missing


def weights_per_gpu(facts: Facts, shape: Shape, settings: Settings) -> int:
    """Bytes of weights on each GPU of the tensor-parallel group, as loaded.

    Exact for what the headers hold; unread headers count as spread evenly.
    """
    parallel = settings.tensor_parallel
    if facts.weight_parts is None:
        return facts.weight_size // parallel
    heads = max((one.heads for one in shape.layers or () if one.kind != "state"), default=parallel)
    total = float(_rotary(shape, settings))
    for part in facts.weight_parts:
        size = part.size * _conversion(part.dtype, facts, settings)
        if part.part is Part.SHARDED and part.dtype == "U8" and facts.quantization.scheme == "mxfp4-moe":
            size *= _padding(shape, settings)
        match part.part:
            case Part.DRAFT:
                total += size / parallel if settings.loads_draft else 0
            case Part.VISION:
                total += size / parallel if settings.loads_vision else 0
            case Part.HEAD:
                total += 0 if shape.tied else size / parallel
            case Part.KEY_VALUE:
                total += size / min(parallel, max(heads, 1))
            case Part.REPLICATED:
                total += size
            case _:
                total += size / parallel
    return int(total)


def _rotary(shape: Shape, settings: Settings) -> int:
    """The one table of sines and cosines, of all positions, in 16 bits (vLLM ``RotaryEmbedding.cos_sin_cache``)."""
    sizes = [one.width // 2 for one in shape.layers or () if one.kind in ("full", "sliding", "chunked")]
    return 2 * max(sizes, default=0) * (settings.derived_len or 0)


def _padding(shape: Shape, settings: Settings) -> float:
    """How much MXFP4 experts grow because kernels want round sizes.

    vLLM 0.33.0 ``mxfp4_round_up_hidden_size_and_intermediate_size``: 256 and 128 for Marlin and TRT-LLM.
    """
    if settings.runtime == SGLANG or not shape.hidden_size or not shape.intermediate_size:
        return 1.0
    inner = shape.intermediate_size / settings.tensor_parallel
    rounded = -(-inner // 128) * 128 * (-(-shape.hidden_size // 256) * 256)
    return rounded / (inner * shape.hidden_size)


def _conversion(dtype: str, facts: Facts, settings: Settings) -> float:
    """How much larger a tensor is once loaded: plain weights take the dtype of the computation, others stay."""
    if facts.quantization.method != "none":
        return 1.0
    bits = 32 if settings.dtype == "float32" else 16
    if settings.quantization in ONLINE_FP8:
        bits = 8
    return bits / DTYPE_BITS[dtype] if dtype in ("F64", "F32", "F16", "BF16") else 1.0


def overhead(facts: Facts, shape: Shape, settings: Settings) -> Span:
    """Everything on a GPU but weights and cache."""
    hidden = shape.hidden_size or 4096
    inner = _inner_size(facts, shape)
    parallel = settings.tensor_parallel
    step = settings.batched_tokens * (6 * hidden + 3 * inner // parallel) * 2
    sampler = settings.sequences * (shape.vocabulary or 32_000) * 10
    graphs = 0 if settings.eager else 200 * MIB + 10 * MIB * (shape.hidden_layers or 32)
    likely = step + sampler + _context(parallel) + graphs
    return Span(low=int(likely * 0.55), likely=likely, high=int(likely * 1.4) + 300 * MIB)


def _context(parallel: int) -> int:
    """CUDA's own, and NCCL's where several GPUs talk."""
    return (350 + (450 if parallel > 1 else 0)) * MIB


def memory_of(facts: Facts, shape: Shape, settings: Settings, gpu: Gpu) -> Memory:
    """What a GPU of the group would hold."""
    weights = weights_per_gpu(facts, shape, settings)
    rest = overhead(facts, shape, settings)
    budget = int(gpu.memory * settings.memory_fraction)
    if settings.kv_memory is not None:
        kept = settings.kv_memory
        return Memory(
            total=gpu.memory,
            budget=gpu.memory,
            weights=weights,
            overhead=rest,
            kv=Span(low=kept, likely=kept, high=kept),
        )
    if settings.runtime == SGLANG:
        # Activations and graphs live outside the static part; CUDA's context is counted inside.
        context = _context(settings.tensor_parallel)
        rest = Span(low=context // 2, likely=context, high=2 * context)
    return Memory(
        total=gpu.memory,
        budget=budget,
        weights=weights,
        overhead=rest,
        kv=Span(
            low=budget - weights - rest.high,
            likely=budget - weights - rest.likely,
            high=budget - weights - rest.low,
        ),
    )


def _inner_size(facts: Facts, shape: Shape) -> int:
    """Values between the two products of a feed-forward layer; of experts, those that one token visits."""
    text = language_config(facts.config)
    experts = first(text, "num_experts_per_tok", "num_experts_per_token", "moe_topk")
    width = whole(text.get("moe_intermediate_size")) or shape.intermediate_size or 4 * (shape.hidden_size or 4096)
    if experts is None:
        return shape.intermediate_size or width
    return experts * (width + (shape.hidden_size or 0) // 2)


def gib(size: float) -> str:
    """Bytes for people, in GiB."""
    return f"{size / GIB:.2f} GiB"
