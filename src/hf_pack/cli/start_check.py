"""The one place where serving asks whether packages run here: known issues of the runtime, and this machine's GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hf_pack.api import checking
from hf_pack.errors import CompatibilityError

if TYPE_CHECKING:
    from hf_pack.gpu.check import Check
    from hf_pack.gpu.facts import Facts
    from hf_pack.ports import Store
    from hf_pack.steps.serving.serve import Prepared

#: Flags that decide what is asked, in vLLM's spelling and in SGLang's.
_TENSOR_PARALLEL = ("--tensor-parallel-size", "-tp", "--tp-size", "--tp")
_LENGTH = ("--max-model-len", "--context-length")
_FRACTION = ("--gpu-memory-utilization", "--mem-fraction-static")
_CPU = "cpu"


def warnings_before(prepared: Prepared, store: Store) -> tuple[str, ...]:
    """What speaks against the command that is about to start without forbidding it.

    Raises CompatibilityError when a package does not run on the GPUs that it gets, or does not fit; where there is no
    GPU, or the runtime uses none, only issues that are known of the runtime's version count.
    """
    from hf_pack.steps.advice.check import facts_of_object
    from hf_pack.steps.stored.contents import stored_contents

    facts = [facts_of_object(stored_contents(package.store_path, store)) for package in prepared.packages]
    return (*_known_issues(prepared, facts), *_gpu_warnings(prepared, facts))


def _known_issues(prepared: Prepared, facts: Sequence[Facts]) -> Iterator[str]:
    from hf_pack.runtimes.requirement import exactly
    from hf_pack.steps.advice.check import known_issues

    for package, known in zip(prepared.packages, facts, strict=True):
        for reason in known_issues(known, prepared.runtime.name, exactly(_engine_version(prepared)), checking.issues()):
            yield f"{package.served.label}: {reason}"


def _engine_version(prepared: Prepared) -> str | None:
    """Triton's own version says nothing of the vLLM that it has."""
    installed = prepared.installed
    return installed.version if installed is not None and prepared.runtime.name != "triton" else None


def _gpu_warnings(prepared: Prepared, facts_of: Sequence[Facts]) -> tuple[str, ...]:
    from hf_pack.gpu.check import check
    from hf_pack.gpu.facts import Options
    from hf_pack.runtimes.flags import value_of

    words = prepared.launch.argv
    version = prepared.installed.version if prepared.installed is not None else None
    if _CPU in (version or "").partition("+")[2] or value_of(words, "--device") == _CPU:
        return ()
    here = checking.measured(checking.local_gpus())
    if not here:
        return ()
    warnings = []
    for package, facts in zip(prepared.packages, facts_of, strict=True):
        count = _whole(value_of(words, *_TENSOR_PARALLEL)) or _stated_parallelism(facts, prepared.runtime.name)
        if count > len(here):
            raise CompatibilityError(
                f"{package.served.label} is to be served by {count} GPUs\n  here: {len(here)}",
                hint="change tensor_parallel_size, or serve it all the same with --no-check",
            )
        options = Options(
            tensor_parallel=count,
            max_model_len=_whole(value_of(words, *_LENGTH)),
            memory_fraction=_number(value_of(words, *_FRACTION)),
            dtype=value_of(words, "--dtype"),
            kv_dtype=value_of(words, "--kv-cache-dtype"),
            runtime_version=_engine_version(prepared),
        )
        answer = check(facts, here[:count], prepared.runtime.name, options, checking.matrix())
        require_fit(answer, hint=f"hf-pack check {package.store_path}; or serve it all the same with --no-check")
        warnings += [f"{package.served.label}: {reason.text}" for reason in answer.reasons if reason.level == "warning"]
    return tuple(warnings)


def require_fit(answer: Check, *, hint: str) -> None:
    """Raises CompatibilityError for a model that does not run on the GPUs, or does not fit."""
    from hf_pack.gpu.check import Verdict

    if answer.verdict not in (Verdict.UNSUPPORTED, Verdict.DOES_NOT_FIT):
        return
    against = [reason.text for reason in answer.reasons if reason.level == "error"]
    changes = [f"it would fit with {change.what}" for change in answer.changes]
    lines = "\n".join(f"  {line}" for line in (*against, *changes))
    raise CompatibilityError(f"{answer.label} on {answer.gpus[0].name}: {answer.verdict.value}\n{lines}", hint=hint)


def _stated_parallelism(facts: Facts, runtime: str) -> int:
    """Triton's engines take it from the package alone."""
    from hf_pack.gpu.settings import stated_parallelism

    return stated_parallelism(facts.engine_parameters, runtime) or 1


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
