"""Whether models run: the composition of data files, this machine's GPUs and :mod:`hf_pack.steps.advice.check`."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import HubError, SourceError, UsageError
from hf_pack.gpu.catalogue import Catalogue, Gpu, gpus_of, parse_catalogue
from hf_pack.gpu.check import Check
from hf_pack.gpu.check import check as check_facts
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.matrix import Matrix, parse_matrix
from hf_pack.gpu.settings import engine_of, stated_parallelism
from hf_pack.model.manifest import HubSource
from hf_pack.ports import LocalGpus, Progress
from hf_pack.steps.quiet import QUIET
from hf_pack.user_path import user_path

if TYPE_CHECKING:
    from hf_pack.gpu.choice import Choice
    from hf_pack.gpu.objections import Reason
    from hf_pack.model.manifest import PathSource
    from hf_pack.ports import ModelRelations, Store, Workspace
    from hf_pack.runtimes.known_issues import Issue
    from hf_pack.steps.locking.suit import Aim
    from hf_pack.steps.workspace.packages import Package

_MOST_RELATED = 40  #: variants that are asked for
_READ_EXACTLY = 3  #: of them, whose headers are read


@cache
def catalogue() -> Catalogue:
    """The GPUs that are known by name."""
    return parse_catalogue(_data("gpus.csv"))


@cache
def matrix() -> Matrix:
    """What each runtime does with each quantization on each SM."""
    return parse_matrix(_data("quant-matrix.csv"))


@cache
def issues() -> tuple[Issue, ...]:
    """What is known to go wrong in versions of runtimes."""
    from hf_pack.runtimes.known_issues import parse_issues

    return parse_issues(_data("known-issues.toml"))


def local_gpus() -> LocalGpus:
    """The GPUs of this machine that CUDA would see (``CUDA_VISIBLE_DEVICES``); a note where there are none."""
    from hf_pack.adapters.nvml import Nvml

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Nvml(os.environ.get("CUDA_VISIBLE_DEVICES"), memory).list()


def gpus_for(names: Sequence[str], memory: int | None = None) -> tuple[Gpu, ...]:
    """The GPUs that these names mean, else this machine's. Raises UsageError where there are neither."""
    if names:
        return gpus_of(names, catalogue(), memory)
    found = local_gpus()
    here = measured(found, memory)
    if not here:
        raise UsageError(
            f"no GPU is named, and this machine shows none: {found.note or 'CUDA_VISIBLE_DEVICES hides them'}",
            hint='name one: --gpu L4, --gpu "2x H100", or --gpu sm89 --memory 24GiB (hf-pack gpu --list)',
        )
    return here


def measured(found: LocalGpus, memory: int | None = None) -> tuple[Gpu, ...]:
    """GPUs of this machine as a fit is computed for them; without ``memory`` (bytes), those that tell theirs."""
    return tuple(
        Gpu(
            name=gpu.name,
            sm=gpu.sm,
            memory=memory or gpu.memory or 0,
            memory_source="stated" if memory else "measured",
            free=gpu.free,
        )
        for gpu in found.gpus
        if memory or gpu.memory
    )


def aim_at(names: Sequence[str]) -> Aim:
    """The GPUs that targets name, each by itself. Raises UsageError for one that nobody knows."""
    from hf_pack.gpu.defaults import TargetGpus
    from hf_pack.steps.locking.suit import Aim

    known = catalogue()
    return Aim(targets=tuple(TargetGpus(name=name, gpus=known.find(name)) for name in names), matrix=matrix())


def shortcomings(package: Package, store: Store) -> tuple[str, ...]:
    """What keeps a built package from running on the targets of its manifest. Raises UsageError for an unknown one."""
    from hf_pack.steps.advice.check import facts_of_package
    from hf_pack.steps.locking import suit

    facts = facts_of_package(package, store)
    return tuple(suit.shortcomings(facts, suit.runtimes_of(package.manifest), aim_at(package.manifest.targets)))


def facts_of(
    name: str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    caches: Sequence[str] = (),
    progress: Progress = QUIET,
) -> Facts:
    """Facts of a package, ``pname@version``, a store path, a repo id on the Hub, or a model on disk.

    Of the Hub only configuration and headers are read, of ``caches`` (URLs) only what their indexes list. Raises
    UsageError, LockError, StoreError, SourceError, HubError.
    """
    from hf_pack.steps.advice.check import facts_of_name

    place = wiring.optional_workspace(Path(workspace))
    if caches:
        from hf_pack.steps.advice.variants import published

        return published(name, wiring.open_caches(caches, place), wiring.read_trust((), None, place), progress)
    asked = _source(name)
    if asked is not None:
        from hf_pack.steps.advice.source_facts import facts_of_source

        return facts_of_source(wiring.AnySources(Path(workspace).absolute(), progress).open(asked))
    return facts_of_name(name, place, wiring.open_store(store))


def check(
    name: str,
    *,
    gpus: Sequence[str] = (),
    memory: int | None = None,
    runtime: str = "vllm",
    options: Options | None = None,
    workspace: Path | str = ".",
    store: str | None = None,
    caches: Sequence[str] = (),
    progress: Progress = QUIET,
) -> Check:
    """Whether a model runs on GPUs (by name, else this machine's) with a runtime; nothing is downloaded but headers.

    ``options.tensor_parallel`` repeats a single named GPU. Raises what :func:`facts_of` and :func:`gpus_for` raise;
    where there is no GPU to ask about, the error names what is known of the runtime's version.
    """
    options = options or Options()
    named = gpus_for(gpus, memory) if gpus else None  # a name that nobody knows needs no model
    facts = facts_of(name, workspace=workspace, store=store, caches=caches, progress=progress)
    try:
        chosen = named or gpus_for((), memory)
    except UsageError as error:
        known = _known_issues(facts, runtime, options, matrix().versions(engine_of(runtime)))
        lines = [error.message, *(indent(f"{reason.level}: {reason}", "  ") for reason in known)]
        raise UsageError("\n".join(lines), hint=error.hint) from None
    answer = check_facts(facts, repeated(chosen, facts, runtime, options), runtime, options, matrix())
    known = _known_issues(facts, runtime, options, answer.runtime_versions)
    return replace(answer, reasons=(*answer.reasons, *known))


def _known_issues(facts: Facts, runtime: str, options: Options, usual: str) -> tuple[Reason, ...]:
    """Those of the version that is asked about, else of the ``usual`` ones."""
    from hf_pack.runtimes.requirement import exactly
    from hf_pack.steps.advice.check import known_issues

    versions = exactly(options.runtime_version) if options.runtime_version else usual
    return known_issues(facts, runtime, versions, issues())


def variants(
    name: str,
    *,
    gpus: Sequence[str] = (),
    memory: int | None = None,
    runtime: str = "vllm",
    options: Options | None = None,
    workspace: Path | str = ".",
    store: str | None = None,
    caches: Sequence[str] = (),
    progress: Progress = QUIET,
) -> tuple[Choice, ...]:
    """The model and its known quantized variants, best first for these GPUs.

    Variants are what the Hub lists as quantized from it (one request), the workspace's packages and what
    the caches list (``caches``, else those of ``hf-pack.toml``) of the same shape.
    The headers of the best few on the Hub are read, so that their numbers are exact. Raises what :func:`check` raises.
    """
    from hf_pack.gpu.choice import Candidate, rank
    from hf_pack.steps.advice.variants import facts_of_related, packages_like, published_like

    options = options or Options()
    chosen = gpus_for(gpus, memory)
    place = wiring.optional_workspace(Path(workspace))
    source = _source(name) or (None if caches else _source_of_package(name, place))
    base = facts_of(
        name, workspace=workspace, store=store, caches=() if source is not None else caches, progress=progress
    )
    group = repeated(chosen, base, runtime, options)

    def candidate(facts: Facts, origin: str, *, exact: bool, downloads: int = 0) -> Candidate:
        answer = check_facts(facts, group, runtime, options, matrix())
        return Candidate(check=answer, origin=origin, exact=exact, downloads=downloads)

    found = [candidate(base, "asked for", exact=base.weight_parts is not None)]
    if place is not None:
        opened = wiring.open_store(store)
        found += [candidate(facts, "this workspace", exact=True) for facts in packages_like(base, place, opened)]
    if caches or (place is not None and wiring.read_settings(place).caches):
        opened_caches = wiring.open_caches(caches, place)
        found += [candidate(facts, "a cache", exact=True) for facts in published_like(base, opened_caches)]
    if isinstance(source, HubSource):
        for model in _relations(progress).quantized(source.repo_id, _MOST_RELATED):
            facts = facts_of_related(model, base)
            if facts is not None:
                found.append(candidate(facts, "the Hub", exact=False, downloads=model.downloads))
    for rough in [choice.candidate for choice in rank(found)[:_READ_EXACTLY]]:
        if not rough.exact and rough.origin == "the Hub":
            found.remove(rough)
            try:
                facts = facts_of(rough.check.label, workspace=workspace, store=store, progress=progress)
                found.append(candidate(facts, rough.origin, exact=True, downloads=rough.downloads))
            except (SourceError, HubError) as error:  # one that is broken or gated stays with its rough numbers
                found.append(replace(rough, unread=error.message))
    return rank(found)


def _source_of_package(name: str, workspace: Workspace | None) -> HubSource | PathSource | None:
    """Where a package of the workspace comes from."""
    from hf_pack.steps.workspace.packages import read_manifest
    from hf_pack.steps.workspace.workspace_files import find_name

    if workspace is None or "/" in name or "@" in name:
        return None
    return read_manifest(workspace, find_name(workspace, name)).source


def _relations(progress: Progress) -> ModelRelations:
    from hf_pack.adapters.hub.relations import HubRelations
    from hf_pack.adapters.hub.settings import client_limits, client_settings

    return HubRelations(client_settings(), client_limits(), progress.note)


def write_picture(found: Check, place: Path) -> None:
    """Write the picture of a check as SVG. Raises UsageError for another ending, or a place that cannot be written."""
    from hf_pack.durable import replace_file
    from hf_pack.gpu.picture import picture

    if place.suffix != ".svg":
        raise UsageError(f"--plot {place}: the picture is an SVG", hint="name the file something.svg")
    try:
        replace_file(place, picture(found).encode())
    except OSError as error:
        raise UsageError(f"--plot {place}: {error.strerror}", hint="name a file where you may write") from None


def repeated(gpus: tuple[Gpu, ...], facts: Facts, runtime: str, options: Options) -> tuple[Gpu, ...]:
    """``--gpu L4 --tp 4`` means four of them; of GPUs that are here, those that are here."""
    wanted = options.tensor_parallel or stated_parallelism(facts.engine_parameters, runtime)
    return gpus * wanted if wanted and len(gpus) == 1 and gpus[0].free is None else gpus


def _source(name: str) -> PathSource | HubSource | None:
    """What is no package: a repo id ``ORG/NAME``, or a directory that is there; None for everything else."""
    from hf_pack.formats.store_path import STORE_DIR
    from hf_pack.model.hub_ids import HubIdError, RepoId
    from hf_pack.model.manifest import PathSource
    from hf_pack.model.manifest_document import DEFAULT_REVISION

    if f"{STORE_DIR}/" in name or Path(name).is_symlink():
        return None
    if "/" in name and (place := user_path(name)).is_dir():
        return PathSource(path=str(place.absolute()))
    repo, _, revision = name.partition("@")
    if "/" not in repo or repo.startswith(("/", ".", "~")):
        return None
    try:
        return HubSource(repo_id=RepoId.parse(repo), revision=revision or DEFAULT_REVISION)
    except HubIdError:
        return None


def _data(name: str) -> str:
    found = pkgutil.get_data("hf_pack", f"data/{name}")  # importlib.resources takes longer than the answer itself
    return (found or b"").decode()
