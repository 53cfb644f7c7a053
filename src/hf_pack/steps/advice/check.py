"""Check: whether a model runs on some GPUs, told from what a lock, a store or the Hub says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hf_pack.gpu.facts import Facts
from hf_pack.gpu.objections import Reason
from hf_pack.gpu.settings import engine_of
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import ModelSummary
from hf_pack.model.weight_formats import weight_format
from hf_pack.ports import Store, Workspace
from hf_pack.runtimes.known_issues import Issue, ModelSigns, find, mend, sentence
from hf_pack.steps.inspecting.summarise import model_config, quantization_of
from hf_pack.steps.stored.contents import LockedContents, StoredContents, stored_contents
from hf_pack.steps.stored.package_model import configs_of, engine_parameters, summary_of_object
from hf_pack.steps.workspace.locate import required
from hf_pack.steps.workspace.packages import Package, load
from hf_pack.steps.workspace.targets import resolve
from hf_pack.steps.workspace.workspace_files import find_name
from hf_pack.weights.quantization import Quantization
from hf_pack.weights.tensor_parts import Part, WeightPart

if TYPE_CHECKING:
    from hf_pack.model.published import Published


def known_issues(facts: Facts, runtime: str, versions: str, issues: Iterable[Issue]) -> tuple[Reason, ...]:
    """What is known to go wrong with this model in ``versions`` (a specifier) of a runtime; it forbids nothing.

    Of Triton, the versions are those of the vLLM that it has.
    """
    signs = ModelSigns(
        configs=facts.configs,
        files=facts.files,
        tensor_dtypes=tuple({part.dtype for part in facts.weight_parts or ()}),
        repo_id=facts.repo_id,
    )
    return tuple(
        Reason(level="warning", text=sentence(issue), source=issue.source, mend=mend(issue))
        for issue in find(issues, signs, {engine_of(runtime): versions})
    )


def facts_of_name(name: str, workspace: Workspace | None, store: Store) -> Facts:
    """Facts of a workspace's package (its lock knows them, built or not), or of an object of the store (its headers are
    read).

    Raises UsageError, ManifestError, LockError, StoreError, SourceError.
    """
    if "/" in name or "@" in name:
        return facts_of_object(stored_contents(resolve(name, workspace, store).store_path, store))
    workspace = required(workspace, name)
    return facts_of_package(load(workspace, find_name(workspace, name)), store)


def facts_of_package(package: Package, store: Store) -> Facts:
    """Facts of a locked package, without a weight byte. A lock made without headers leaves the split unknown."""
    contents = LockedContents(lock=package.lock, kept=package.kept, store=store)
    manifest = package.manifest
    return facts_of_files(
        package.name,
        package.lock.model,
        configs_of(contents),
        contents.files,
        manifest.engine_parameters,
        str(package.lock.source.repo_id),
    )


def facts_of_object(contents: StoredContents) -> Facts:
    """Facts of a package in a store, from the headers of its weights."""
    model = summary_of_object(contents)
    repo_id = str(contents.provenance.get("repo_id") or "")
    return facts_of_files(
        contents.store_path.name, model, configs_of(contents), contents.files, engine_parameters(contents), repo_id
    )


def facts_of_entry(entry: Published) -> Facts:
    """Facts of a published version, from a cache's index alone. Which files it has is not said there."""
    model = entry.model
    return facts_of_summary(
        f"{entry.pname}@{entry.version}",
        model.summary,
        {"config.json": model.config},
        model.weight_size,
        {runtime: table for runtime, table in model.engine_parameters.items() if isinstance(table, Mapping)},
        (),
        entry.repo_id,
    )


def facts_of_files(
    label: str,
    model: ModelSummary,
    configs: Mapping[str, JsonObject],
    files: Mapping[str, object],
    engine_parameters: Mapping[str, JsonObject],
    repo_id: str,
) -> Facts:
    """Facts of a model with these files; every value has a ``size`` in bytes."""
    size = sum(getattr(digest, "size", 0) for path, digest in files.items() if weight_format(path) is not None)
    return facts_of_summary(label, model, configs, size, engine_parameters, files, repo_id)


def facts_of_summary(
    label: str,
    model: ModelSummary,
    configs: Mapping[str, JsonObject],
    size: int,
    engine_parameters: Mapping[str, JsonObject],
    files: Iterable[str],
    repo_id: str,
) -> Facts:
    """Facts from what the headers said (``model``) and the parsed ``configs``; ``size`` is of the weights, in bytes."""
    return Facts(
        label=label,
        config=model_config(configs),
        quantization=_quantization(model, configs),
        weight_parts=tuple(_part(key, bytes_) for key, bytes_ in model.weight_parts) or None,
        weight_size=size,
        context_length=model.context_length,
        architectures=model.architectures,
        model_type=model.model_type,
        dtype=model.dtype,
        parameters=model.parameters,
        engine_parameters={runtime: table for runtime, table in engine_parameters.items() if table},
        configs=configs,
        files=tuple(files),
        repo_id=repo_id,
    )


def _quantization(model: ModelSummary, configs: Mapping[str, JsonObject]) -> Quantization:
    """What the configuration states, and what the headers added to it when they were read."""
    stated = quantization_of(configs)
    return Quantization(
        method=model.quantization_method,
        scheme=model.quantization_scheme,
        activations=model.quantization_activations,
        bits=model.quantization_bits,
        group_size=stated.group_size if stated.group_size is not None else model.quantization_group_size,
        source=stated.source,
        notes=model.notes,
        broken=model.quantization_broken,
        limits=stated.limits,
    )


def _part(key: str, size: int) -> WeightPart:
    part, _, dtype = key.partition(" ")
    try:
        return WeightPart(part=Part(part), dtype=dtype, size=size)
    except ValueError:  # a newer hf-pack knows more parts
        return WeightPart(part=Part.SHARDED, dtype=dtype, size=size)
