"""Which of several variants of a model to take on a GPU, with the rule that decided.

What fits comes before what does not, then the formats that the GPU computes best. The order of formats for each
generation follows from its tensor cores (FP8 from SM89, FP4 from SM100) and from the matrix's kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hf_pack.gpu.check import Check, Verdict
from hf_pack.weights.quantization_scheme import schemes

_FP8 = ("fp8-channel", "fp8-tensor", "modelopt-fp8")
_FOUR_BITS = ("awq", "gptq", "wna16")
_PLAIN = ("bf16", "fp16")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The order of schemes from an SM on; those that are not named come last."""

    first_sm: int
    order: tuple[tuple[str, ...], ...]
    text: str
    source: str


_RULES = (
    _Rule(
        first_sm=100,
        order=(
            ("nvfp4",),
            (*_FP8, "fp8-block"),
            ("mxfp8", "modelopt-mxfp8", "mxfp4-dense", "mxfp4-moe"),
            _PLAIN,
            _FOUR_BITS,
        ),
        text="NVFP4 and FP8 run on tensor cores of their own from SM100 on",
        source="NVIDIA Blackwell tensor cores; the matrix's native cells",
    ),
    _Rule(
        first_sm=90,
        order=((*_FP8, "fp8-block"), _FOUR_BITS, ("int8-w8a8",), ("mxfp4-moe",), _PLAIN),
        text="FP8 is native on SM90, block FP8 too; FP4 formats are only stored small",
        source="NVIDIA Hopper tensor cores; the matrix's native cells",
    ),
    _Rule(
        first_sm=89,
        order=(_FP8, _FOUR_BITS, ("int8-w8a8",), _PLAIN, ("fp8-block", "mxfp4-moe")),
        text="FP8 is native from SM89 on; dense block FP8 is not on SM89",
        source="NVIDIA Ada tensor cores; vllm-project/vllm#58241",
    ),
    _Rule(
        first_sm=75,
        order=(_FOUR_BITS, ("int8-w8a8",), _PLAIN, (*_FP8, "fp8-w8a16"), ("fp8-block",)),
        text="AWQ and GPTQ have Marlin kernels from SM75 to SM86, FP8 is only stored small",
        source="vLLM 0.33.0 query_marlin_supported_quant_types (floor 75)",
    ),
)
_FITS = {Verdict.OK: 0, Verdict.UNKNOWN: 1, Verdict.DOES_NOT_FIT: 2, Verdict.UNSUPPORTED: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A variant, where it is from, and its answer. ``exact``: its headers were read; ``unread``: why they were not."""

    check: Check
    origin: str
    exact: bool
    downloads: int = 0
    unread: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A candidate with its place in the order (1 is best) and why it is there."""

    place: int
    candidate: Candidate
    rule: str
    source: str


def rank(candidates: Iterable[Candidate]) -> tuple[Choice, ...]:
    """Best first. Of two that are alike the one with exact numbers, then the one that more people take, comes first."""
    ordered = sorted(candidates, key=_key)
    return tuple(
        Choice(place=number, candidate=one, rule=_rule_text(one.check), source=_rule(one.check).source)
        for number, one in enumerate(ordered, 1)
    )


def _key(one: Candidate) -> tuple[int, int, int, bool, int, str]:
    found = one.check
    return (
        _FITS[found.verdict],
        _order(found),
        -(found.max_model_len or 0) if found.verdict is not Verdict.OK else 0,
        not one.exact,
        -one.downloads,
        found.label,
    )


def _rule(found: Check) -> _Rule:
    sm = min(gpu.sm for gpu in found.gpus)
    return next((rule for rule in _RULES if sm >= rule.first_sm), _RULES[-1])


def _order(found: Check) -> int:
    """By the scheme that comes last, where layers differ."""
    order = _rule(found).order
    places = [
        next((number for number, row in enumerate(order) if scheme in row), len(order))
        for scheme in schemes(found.scheme)
    ]
    return max(places)


def _rule_text(found: Check) -> str:
    match found.verdict:
        case Verdict.UNSUPPORTED:
            return next((r.text for r in found.reasons if r.kind == "unsupported"), "does not run")
        case Verdict.DOES_NOT_FIT:
            return next((r.text for r in found.reasons if r.level == "error"), "does not fit")
    return f"{found.kernel}; {_rule(found).text}"
