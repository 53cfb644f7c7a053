"""Whether the runtimes would take a manifest's engine parameters, told while locking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hf_pack.errors import ManifestError
from hf_pack.gpu.facts import Facts
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import Manifest
from hf_pack.runtimes.contradictions import contradictions
from hf_pack.runtimes.engine_schema import EngineSchema, ParameterProblem, covered, parameter_problems
from hf_pack.runtimes.requirement import satisfies
from hf_pack.steps.workspace.workspace_files import manifest_file
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.quantization import Quantization


def _nothing(runtime: str) -> None:
    """No schema."""


def _nobody(runtime: str, known: Collection[str]) -> None:
    """No schema."""


@dataclass(frozen=True, kw_only=True)
class Schemas:
    """The engine parameters that are known by runtime.

    ``released`` are those of the tool's data; ``installed`` is asked for that of this machine's runtime, unless its
    version is one of those that are known, and takes a moment.
    """

    released: Callable[[str], EngineSchema | None] = _nothing
    installed: Callable[[str, Collection[str]], EngineSchema | None] = _nobody
    _asked: dict[str, EngineSchema | None] = field(default_factory=dict)

    def of(self, runtime: str, requirement: str | None) -> Iterator[EngineSchema]:
        """What to hold parameters against: the installed version counts when the package is for it, and takes the place
        of the released ones when it is newer and no version is stated."""
        known = self.released(runtime)
        if runtime not in self._asked:
            self._asked[runtime] = self.installed(runtime, known.versions if known is not None else ())
        here = self._asked[runtime]
        if here is not None and known is not None:
            here = replace(here, renamed=known.renamed)
        counts = here is not None and (requirement is None or satisfies(here.versions[0], requirement))
        if here is not None and counts:
            yield here
        is_newest = here is not None and known is not None and satisfies(here.versions[0], f">{known.versions[-1]}")
        if known is not None and not (is_newest and requirement is None):
            yield known


def check_parameters(
    manifest: Manifest, model: ModelSummary, configs: Mapping[str, JsonObject], schemas: Schemas
) -> tuple[str, ...]:
    """Lines for the person. Raises one ManifestError that lists every parameter that would not be taken.

    ``configs`` are config.json and tokenizer_config.json as they are packaged. ``[triton]`` and ``[vllm]`` are both
    vLLM's; parameters are for the versions that ``runtimes`` states, else for the newest known.
    """
    problems: list[str] = []
    notes = []
    facts = _facts(manifest, model, configs)
    for table, runtime, parameters in (
        ("vllm", "vllm", manifest.vllm),
        ("sglang", "sglang", manifest.sglang),
        ("triton", "vllm", manifest.triton),
    ):
        if not parameters:
            continue
        requirement = manifest.runtimes.get(runtime)
        found: list[ParameterProblem] = []
        known = tuple(schemas.of(runtime, requirement))
        for schema in known:
            found += parameter_problems(schema, parameters, requirement)
        if known and not any(covered(schema, requirement) for schema in known):
            versions = ", ".join(f"{schema.versions[0]} to {schema.versions[-1]}" for schema in known)
            notes.append(
                f"[{table}] is not checked: {runtime} {requirement} is none of the versions known here, {versions}"
            )
        wrong = {problem.key for problem in found}
        found += [one for one in contradictions(facts, runtime, parameters) if one.key not in wrong]
        problems += dict.fromkeys(f"{table}.{problem}" for problem in found)
    if problems:
        lines = "\n".join(f"  {manifest_file(manifest.name)}: {problem}" for problem in problems)
        raise ManifestError(
            f"the runtimes would not take the engine parameters\n{lines}",
            hint=f'edit {manifest_file(manifest.name)}; runtimes = {{ vllm = ">=…" }} states the versions it is for',
        )
    return tuple(notes)


def _facts(manifest: Manifest, model: ModelSummary, configs: Mapping[str, JsonObject]) -> Facts:
    config = configs.get("config.json", {})
    said = model_facts(config, configs.get("tokenizer_config.json"))
    return Facts(
        label=manifest.name,
        config=config,
        quantization=Quantization(
            method=model.quantization_method,
            scheme=model.quantization_scheme,
            activations=model.quantization_activations,
            bits=model.quantization_bits,
            group_size=model.quantization_group_size,
            source="",
            notes=(),
            broken=model.quantization_broken,
        ),
        weight_parts=None,
        weight_size=0,
        context_length=said.context_length or model.context_length,
        model_type=said.model_type or model.model_type,
    )
