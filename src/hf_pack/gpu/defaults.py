"""Engine parameters that let a model run on every GPU that it is packaged for, with the reason of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_pack.gpu.catalogue import Gpu, common
from hf_pack.gpu.check import USEFUL, Verdict, check
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.matrix import Matrix
from hf_pack.gpu.memory import gib
from hf_pack.gpu.settings import VLLM, derived_length
from hf_pack.model.json_value import JsonObject

_FIRST = 8192  #: tokens; as long as that, nothing is traded for length
_AT_ONCE = 4  #: requests of full length that a server should hold
_MOST_GPUS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGpus:
    """One target as the manifest names it, and the GPUs that it means."""

    name: str
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """vLLM's parameters, and a sentence for each target that decided something. Empty where nothing is known."""

    parameters: JsonObject
    reasons: tuple[str, ...]


def defaults_for(facts: Facts, targets: Sequence[TargetGpus], matrix: Matrix) -> Defaults:
    """The fewest GPUs, then the 16-bit KV cache, then the longest context that hold on all targets.

    Even where every estimate takes the most that it may, ``max_model_len`` leaves room for four requests of full
    length; where no useful length does, for one. A target that the model does not run on at all is named and left out.
    Never ``quantization``: a model declares its own.
    """
    reasons, able = [], []
    for target in targets:
        # By one of its GPUs: heads that do not divide by their number may divide by another.
        found = check(facts, _group(target, 1), VLLM, Options(max_model_len=-1, tensor_parallel=1), matrix)
        if found.verdict is Verdict.UNSUPPORTED:
            against = [reason.text for reason in found.reasons if reason.kind == "unsupported"]
            reasons.append(f"does not run on {target.name}: {'; '.join(against)}")
        else:
            able.append(target)
    if not able:
        return Defaults(parameters={}, reasons=tuple(reasons))
    first = max(len(target.gpus) for target in able)
    for count in _counts(first):
        plain = _length(facts, able, count, None, matrix)
        chosen, kv_dtype = plain, None
        if (plain or 0) < min(_FIRST, derived_length(facts) or _FIRST) and _has_fp8(able):
            small = _length(facts, able, count, "fp8", matrix)
            if (small or 0) > (plain or 0):
                chosen, kv_dtype = small, "fp8"
        if chosen is not None:
            return Defaults(
                parameters={
                    "max_model_len": chosen,
                    **({"tensor_parallel_size": count} if count > 1 else {}),
                    **({"kv_cache_dtype": kv_dtype} if kv_dtype else {}),
                },
                reasons=(*reasons, *_explained(facts, able, count, chosen, plain, kv_dtype, first, matrix)),
            )
    names = ", ".join(target.name for target in able)
    return Defaults(parameters={}, reasons=(*reasons, f"not known to fit on {names}, nor on {_MOST_GPUS} of them"))


def _counts(first: int) -> Iterator[int]:
    yield first
    count = 1
    while count <= _MOST_GPUS:
        if count > first:
            yield count
        count *= 2


def _length(
    facts: Facts, targets: Sequence[TargetGpus], count: int, kv_dtype: str | None, matrix: Matrix
) -> int | None:
    """The longest context that holds on all targets; None where not even a useful one does."""
    lengths = _lengths(derived_length(facts))
    for at_once in (_AT_ONCE, 1):
        for length in lengths:
            asked = Options(max_model_len=length, tensor_parallel=count, kv_dtype=kv_dtype, concurrency=at_once)
            if all(_runs(facts, target, count, asked, matrix) for target in targets):
                return length
    return None


def _lengths(derived: int | None) -> tuple[int, ...]:
    """Powers of two up to what the model allows, and that itself; longest first."""
    if derived is None:
        return ()
    powers = [2**power for power in range(USEFUL.bit_length() - 1, derived.bit_length()) if 2**power < derived]
    return (derived, *reversed(powers))


def _runs(facts: Facts, target: TargetGpus, count: int, asked: Options, matrix: Matrix) -> bool:
    return check(facts, _group(target, count), VLLM, asked, matrix).verdict is Verdict.OK


def _group(target: TargetGpus, count: int) -> tuple[Gpu, ...]:
    return (common(target.gpus),) * count


def _has_fp8(targets: Sequence[TargetGpus]) -> bool:
    return all(gpu.sm >= 89 for target in targets for gpu in target.gpus)


def _explained(
    facts: Facts,
    targets: Sequence[TargetGpus],
    count: int,
    length: int,
    plain: int | None,
    kv_dtype: str | None,
    first: int,
    matrix: Matrix,
) -> Iterator[str]:
    for target in targets:
        asked = Options(max_model_len=length, tensor_parallel=count, kv_dtype=kv_dtype)
        found = check(facts, _group(target, count), VLLM, asked, matrix)
        each = f"{count}x {target.gpus[0].name}" if count > 1 else target.name
        at_once = (
            f"; about {found.concurrency:,.1f} requests of {length:,} tokens at once (estimated)"
            if found.concurrency is not None
            else ""
        )
        yield f"on {each}: {gib(found.weight_bytes)} of weights on each GPU, {found.kernel}{at_once}"
    if count > first:
        yield f"tensor_parallel_size {count}: on fewer GPUs no useful context fits"
    if kv_dtype is not None:
        with_sixteen = f"{plain:,} tokens fit" if plain else "no useful context fits"
        yield f"kv_cache_dtype {kv_dtype}: with 16 bits {with_sixteen}"
