"""What is known of runtimes held against a package before it is locked: its engine parameters, and known issues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hf_pack.model import patches
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.manifest import HubSource, Manifest
from hf_pack.ports import Source
from hf_pack.runtimes.known_issues import Issue, ModelSigns, find, mend, sentence
from hf_pack.steps.engine_parameters import Schemas, check_parameters
from hf_pack.steps.inspect_source import Inspection
from hf_pack.weights.strict_json import JsonValue, loads_object
from hf_pack.weights.weights_error import HeaderError

_CONFIGS = ("config.json", "tokenizer_config.json")


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What the tool's data files say; nothing, where a caller has none."""

    schemas: Schemas = field(default_factory=Schemas)
    issues: Callable[[], tuple[Issue, ...]] = tuple


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
    found = find(knowledge.issues(), signs, manifest.runtimes)
    return (*notes, *(f"{sentence(issue)} ({issue.source}); {mend(issue)}" for issue in found))


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
