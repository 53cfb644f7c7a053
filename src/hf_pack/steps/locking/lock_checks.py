"""What is known of runtimes held against a package before it is locked or built: engine parameters, known issues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from hf_pack.gpu.matrix import SMS, TITLES, Matrix, Support
from hf_pack.gpu.settings import TRITON, VLLM
from hf_pack.model import patches
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import HubSource, Manifest
from hf_pack.ports import Source
from hf_pack.runtimes.known_issues import Issue, ModelSigns, find, mend, sentence
from hf_pack.runtimes.requirement import overlap
from hf_pack.steps.inspecting.inspect_source import Inspection
from hf_pack.steps.locking.engine_parameters import Schemas, check_parameters
from hf_pack.steps.workspace.packages import Package
from hf_pack.weights.strict_json import JsonValue, loads_object
from hf_pack.weights.weights_error import HeaderError

_CONFIGS = ("config.json", "tokenizer_config.json")


def _no_matrix() -> Matrix:
    return Matrix(rows=())


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What the tool's data files say; nothing, where a caller has none."""

    schemas: Schemas = field(default_factory=Schemas)
    issues: Callable[[], tuple[Issue, ...]] = tuple
    matrix: Callable[[], Matrix] = _no_matrix


NOTHING_KNOWN = Knowledge()


def check_before_lock(
    manifest: Manifest, source: Source, inspection: Inspection, replacements: Mapping[str, bytes], knowledge: Knowledge
) -> tuple[str, ...]:
    """Lines for the person, each known issue with the manifest entry that mends it.

    Raises ManifestError with every engine parameter that the runtimes would not take.
    """
    configs = _configs(manifest, source, inspection, replacements)
    notes = check_parameters(manifest, inspection.model, configs, knowledge.schemas)
    signs = ModelSigns(
        configs=configs,
        files=tuple(file.path for file in inspection.files),
        tensor_dtypes=tuple(dtype for dtype, _ in inspection.model.bytes_by_dtype),
        repo_id=str(_repo_id(manifest, source) or ""),
    )
    notes += tuple(_no_kernel(manifest, inspection.model, knowledge.matrix()))
    found = find(knowledge.issues(), signs, manifest.runtimes)
    return (*notes, *(f"{sentence(issue)} ({issue.source}); {mend(issue)}" for issue in found))


def check_before_build(package: Package, knowledge: Knowledge) -> None:
    """Raises ManifestError with every engine parameter that the runtimes would not take: they may be edited after the
    package was locked. What is installed here is not asked, so that a build is the same on every machine."""
    configs = {}
    for path in _CONFIGS:
        with suppress(HeaderError, ValueError):
            configs[path] = loads_object(package.kept.get(path, b"{}"))
    check_parameters(package.manifest, package.lock.model, configs, Schemas(released=knowledge.schemas.released))


def _no_kernel(manifest: Manifest, model: ModelSummary, matrix: Matrix) -> Iterator[str]:
    """What the matrix says of stated runtimes that have no kernel for these weights on any GPU."""
    for runtime, requirement in manifest.runtimes.items():
        # Triton's own version says nothing of the vLLM that it has.
        engine, wanted = (VLLM, "") if runtime == TRITON else (runtime, requirement)
        cells = [matrix.look_up(engine, model.quantization_scheme, sm) for sm in SMS]
        if overlap(matrix.versions(engine), wanted) and all(cell.support is Support.UNSUPPORTED for cell in cells):
            why = "; ".join(dict.fromkeys(cell.notes or cell.source for cell in cells))
            title = TITLES.get(model.quantization_scheme, model.quantization_scheme)
            yield f"{title} weights run on no GPU with {engine} {matrix.versions(engine)}: {why}"


def _repo_id(manifest: Manifest, source: Source) -> RepoId | None:
    asked = manifest.source
    return asked.repo_id if isinstance(asked, HubSource) else asked.slug or source.listing.repo_id


def _configs(
    manifest: Manifest, source: Source, inspection: Inspection, replacements: Mapping[str, bytes]
) -> dict[str, Mapping[str, JsonValue]]:
    """The configuration files as they will be packaged; one that a patch does not fit is left out, locking says so."""
    packaged = {file.path for file in inspection.files}
    found: dict[str, Mapping[str, JsonValue]] = {}
    for path in _CONFIGS:
        if path not in packaged:
            continue
        contents = source.read(path)
        try:
            for patch in manifest.patches:
                if patch.file == path:
                    replacement = None if patch.replace is None else replacements.get(patch.replace)
                    contents = patches.apply(patch, contents, replacement)
            found[path] = loads_object(contents)
        except (patches.PatchMismatch, HeaderError, ValueError):
            continue
    return found
