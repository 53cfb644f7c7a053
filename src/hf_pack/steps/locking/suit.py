"""Suit: give a proposed manifest engine parameters that hold on the GPUs that it is for, and hold one against them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hf_pack.gpu.check import Verdict, check
from hf_pack.gpu.defaults import TargetGpus, defaults_for
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.matrix import Matrix
from hf_pack.gpu.settings import VLLM, stated_parallelism
from hf_pack.model.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The GPUs that a package is for, and what runtimes do on them."""

    targets: tuple[TargetGpus, ...]
    matrix: Matrix

    @property
    def names(self) -> tuple[str, ...]:
        """As the manifest writes them."""
        return tuple(target.name for target in self.targets)


def suit(manifest: Manifest, facts: Facts, aim: Aim) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest with ``targets`` and parameters for them, and sentences that say why."""
    found = defaults_for(facts, aim.targets, aim.matrix)
    return replace(manifest, targets=aim.names, vllm={**manifest.vllm, **found.parameters}), found.reasons


def shortcomings(facts: Facts, runtimes: tuple[str, ...], aim: Aim) -> Iterator[str]:
    """What keeps a package from running on one of its targets with one of its runtimes, a sentence each."""
    for target in aim.targets:
        for runtime in runtimes:
            count = max(len(target.gpus), stated_parallelism(facts.engine_parameters, runtime) or 1)
            gpus = target.gpus + (target.gpus[-1],) * (count - len(target.gpus))
            answer = check(facts, gpus, runtime, Options(), aim.matrix)
            if answer.verdict in (Verdict.UNSUPPORTED, Verdict.DOES_NOT_FIT):
                why = "; ".join(reason.text for reason in answer.reasons if reason.level == "error")
                yield f"{facts.label} is for {target.name}, but with {runtime}: {answer.verdict.value}: {why}"


def runtimes_of(manifest: Manifest) -> tuple[str, ...]:
    """Those that the manifest states; else vLLM, which the parameters are written for."""
    return tuple(manifest.runtimes) or (VLLM,)
