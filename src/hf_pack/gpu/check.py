"""The answer: does a model run on these GPUs with a runtime, how, does it fit, and what to change if it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from hf_pack.gpu.cache import Cache, cache_of
from hf_pack.gpu.catalogue import Gpu, common
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.matrix import Cell, Matrix, Support
from hf_pack.gpu.memory import Memory, gib, memory_of
from hf_pack.gpu.objections import Reason, objections
from hf_pack.gpu.settings import ONLINE_FP8, SGLANG, Settings, engine_of, resolve
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.quantization import Quantization
from hf_pack.weights.quantization_scheme import schemes

USEFUL = 2048  #: tokens; a shorter context is of no use to anybody


class Verdict(StrEnum):
    """In one word. ``unknown``: nobody knows, or the estimate is too near the edge to say."""

    OK = "ok"
    DOES_NOT_FIT = "does-not-fit"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that would make it fit: what to do, and the longest context then (tokens)."""

    what: str
    arguments: str  #: for `check` itself, empty where another model is meant
    max_model_len: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One answer for one GPU group and one runtime. Sizes are bytes on each GPU, lengths tokens.

    ``kv_tokens`` is how many tokens the cache holds over all requests, as the runtime's own log counts it;
    ``max_model_len`` the longest context that fits (not more than the model allows), ``sure_model_len`` the longest
    that fits even where everything that is estimated takes the most it may; ``concurrency`` how many requests
    of ``context_length`` (the length that was checked) fit at once. ``None`` where it is not known.
    """

    verdict: Verdict
    label: str
    runtime: str
    runtime_versions: str  #: that the matrix was read in
    gpus: tuple[Gpu, ...]
    tensor_parallel: int
    quantization: Quantization
    scheme: str  #: the matrix's row
    dtype: str
    kernel: Literal["native", "marlin", "weight-only", "emulated", "unsupported", "unknown"]
    kernel_name: str
    weight_bytes: int
    kv_dtype: str
    kv_bytes_per_token: int | None
    kv_tokens: int | None
    context_length: int | None
    max_model_len: int | None
    sure_model_len: int | None
    concurrency: float | None
    memory: Memory
    reasons: tuple[Reason, ...]
    changes: tuple[Change, ...]


def check(facts: Facts, gpus: Sequence[Gpu], runtime: str, options: Options, matrix: Matrix) -> Check:
    """Whether ``facts`` run on ``gpus``, all of which serve it together (tensor parallelism), with ``runtime``.

    ``runtime`` is ``vllm``, ``sglang`` or ``triton`` (whose vLLM backend is meant). Pure: same question, same answer.
    """
    answer = _answer(facts, gpus, runtime, options, matrix)
    is_of_size = any(reason.kind == "size" for reason in answer.reasons)
    if is_of_size and answer.verdict in (Verdict.DOES_NOT_FIT, Verdict.UNKNOWN):
        changes = tuple(_changes(answer, facts, gpus, runtime, options, matrix))
        return replace(answer, changes=changes)
    return answer


def scheme_row(facts: Facts, settings: Settings, runtime: str) -> str:
    """The matrix's row: the quantization's, or of plain weights the dtype that the runtime computes in."""
    if facts.quantization.scheme != "none":
        return facts.quantization.scheme
    if settings.quantization in ONLINE_FP8 and runtime != SGLANG:
        return "fp8-block" if settings.quantization == "fp8_per_block" else "fp8-tensor"
    return "bf16" if settings.dtype == "bfloat16" else "fp16"


def _answer(facts: Facts, gpus: Sequence[Gpu], runtime: str, options: Options, matrix: Matrix) -> Check:
    gpu = common(gpus)
    settings = resolve(facts, gpu, len(gpus), runtime, options)
    shape = shape_of(facts.config)
    engine = engine_of(runtime)
    row = scheme_row(facts, settings, engine)
    cell = matrix.look_up_all(engine, schemes(row), gpu.sm, options.runtime_version)
    memory = memory_of(facts, shape, settings, gpu)
    cache = cache_of(shape.layers, settings)
    reasons = list(objections(facts, gpu, len(gpus), settings, shape, cell, row))
    fit = _fit(memory, cache, settings, options, reasons)
    return Check(
        verdict=_verdict(reasons, cell, fit),
        label=facts.label,
        runtime=runtime,
        runtime_versions=cell.versions or matrix.versions(engine),
        gpus=tuple(gpus),
        tensor_parallel=settings.tensor_parallel,
        quantization=facts.quantization,
        scheme=row,
        dtype=settings.dtype,
        kernel=Support.UNSUPPORTED.value if _blocked(reasons) else cell.support.value,
        kernel_name=cell.kernel,
        weight_bytes=memory.weights,
        kv_dtype=settings.kv_dtype,
        kv_bytes_per_token=None if cache is None else cache.bytes_per_token,
        kv_tokens=fit.tokens,
        context_length=fit.length,
        max_model_len=fit.longest,
        sure_model_len=fit.sure,
        concurrency=fit.concurrency,
        memory=memory,
        reasons=tuple(reasons),
        changes=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """``fits`` None: too near to say, or unknown."""

    fits: bool | None
    length: int | None
    longest: int | None
    sure: int | None
    tokens: int | None
    concurrency: float | None


def _fit(memory: Memory, cache: Cache | None, settings: Settings, options: Options, reasons: list[Reason]) -> _Fit:
    kv = memory.kv
    if kv.high <= 0:
        reasons.append(
            Reason.error(
                f"the weights take {gib(memory.weights)} of the {gib(memory.budget)} that the runtime may use on each "
                f"GPU: nothing is left for the cache"
            )
        )
        return _Fit(fits=False, length=settings.max_model_len, longest=0, sure=0, tokens=0, concurrency=0.0)
    if cache is None or settings.max_model_len is None:
        what = "how long its contexts may be" if cache is not None else "what it keeps for each token"
        unsaid = f"the configuration does not say {what}"
        if settings.kv_form is None:
            unsaid = f"how much a KV cache of dtype {settings.kv_dtype} keeps is not known"
        reasons.append(Reason.warning(f"{unsaid}: the KV cache is not computed"))
        return _Fit(fits=None, length=settings.max_model_len, longest=None, sure=None, tokens=None, concurrency=None)
    limit = settings.derived_len or settings.max_model_len
    longest = cache.longest(kv.likely, limit)
    length = settings.max_model_len
    if settings.auto_fit:
        length = max(min(longest, limit), min(USEFUL, limit))
    wanted = options.concurrency or 1
    sure = cache.longest(kv.low, limit)
    if settings.runtime == SGLANG and not settings.stated_len and sure < length and sure >= min(USEFUL, limit):
        reasons.append(
            Reason.warning(f"SGLang starts, and refuses requests longer than about {longest:,} of {length:,} tokens")
        )
        length = sure
    if not cache.groups:
        fits = True if kv.low > 0 else None
        if fits is None:
            _explain(reasons, memory, cache, length, longest, wanted, fits)
        return _Fit(fits=fits, length=length, longest=longest, sure=sure, tokens=None, concurrency=None)
    held = [cache.requests(length, size) for size in (kv.low, kv.likely, kv.high)]
    fits = True if held[0] >= wanted else False if held[2] < wanted else None
    if fits is not True:
        _explain(reasons, memory, cache, length, longest, wanted, fits)
    return _Fit(
        fits=fits,
        length=length,
        longest=longest,
        sure=sure,
        tokens=int(held[1] * length),
        concurrency=round(held[1], 2),
    )


def _explain(
    reasons: list[Reason], memory: Memory, cache: Cache, length: int, longest: int, wanted: int, fits: bool | None
) -> None:
    requests, needs = (f"{wanted:,} requests", "need") if wanted > 1 else ("one request", "needs")
    needed = wanted * cache.request(length)
    kv = memory.kv
    left = f"{gib(max(0, kv.likely))} ({gib(max(0, kv.low))} to {gib(kv.high)})"
    text = f"{requests} of {length:,} tokens {needs} {gib(needed)} of cache on each GPU, about {left} are left"
    if fits is False:
        reasons.append(Reason.error(f"{text}; the longest context that fits is about {longest:,} tokens"))
    else:
        near = f"{text}: too near the edge to say, only a start of the runtime tells"
        reasons.append(Reason.warning(near, kind="size"))


def _blocked(reasons: Sequence[Reason]) -> bool:
    return any(reason.level == "error" and reason.kind == "unsupported" for reason in reasons)


def _verdict(reasons: Sequence[Reason], cell: Cell, fit: _Fit) -> Verdict:
    if _blocked(reasons):
        return Verdict.UNSUPPORTED
    if fit.fits is False:
        return Verdict.DOES_NOT_FIT
    if cell.support is Support.UNKNOWN or fit.fits is None or any(reason.kind == "unknown" for reason in reasons):
        return Verdict.UNKNOWN
    return Verdict.OK


def _changes(
    answer: Check, facts: Facts, gpus: Sequence[Gpu], runtime: str, options: Options, matrix: Matrix
) -> Iterator[Change]:
    """What was tried with the same arithmetic and fits; nothing is proposed that does not."""
    sure = answer.sure_model_len or 0
    rounded = sure // 1024 * 1024 or sure
    attempts: list[tuple[str, str, Options]] = []
    if rounded >= min(USEFUL, answer.context_length or USEFUL):
        attempts.append(("a shorter context", f"--max-model-len {rounded}", replace(options, max_model_len=rounded)))
    if answer.kv_dtype == "auto" and common(gpus).sm >= 89:
        attempts.append(("an FP8 KV cache", "--kv-dtype fp8", replace(options, kv_dtype="fp8")))
    if options.concurrency and options.concurrency > 1 and answer.concurrency and answer.concurrency >= 1:
        fewer = int(answer.concurrency)
        attempts.append(("fewer requests at once", f"--concurrency {fewer}", replace(options, concurrency=fewer)))
    more_memory = 0.9 if runtime == SGLANG else 0.95
    if options.memory_fraction is None:
        larger = replace(options, memory_fraction=more_memory)
        attempts.append(("a larger share of the memory", f"--memory-fraction {more_memory}", larger))
    for what, arguments, changed in attempts:
        found = _answer(facts, gpus, runtime, changed, matrix)
        if found.verdict is Verdict.OK:
            yield Change(what=what, arguments=arguments, max_model_len=found.max_model_len)
    for count in (2, 4, 8, 16):
        if count > len(gpus):
            more = (*gpus, *([gpus[-1]] * (count - len(gpus))))
            found = _answer(facts, more, runtime, replace(options, tensor_parallel=count), matrix)
            if found.verdict is Verdict.OK:
                arguments = f"--tp {count}" if len(gpus) == 1 else f"{_named(more)} --tp {count}"
                yield Change(what=f"{count} such GPUs", arguments=arguments, max_model_len=found.max_model_len)
                break
    if facts.quantization.method == "none":
        yield Change(
            what="a quantized variant (FP8 halves the weights, 4 bits take about 0.3 of them)",
            arguments="--variants",
            max_model_len=None,
        )


def _named(gpus: Sequence[Gpu]) -> str:
    """As ``--gpu`` takes them: ``--tp`` alone repeats no more than one."""
    return " ".join(f'--gpu "{count}x {name}"' for name, count in Counter(gpu.name for gpu in gpus).items())
