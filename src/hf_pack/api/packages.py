"""Packages of a workspace: from a model to a valid store object."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import LockError, UsageError
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.model.build_meta import BuildMeta
    from hf_pack.model.hub_ids import RepoId
    from hf_pack.model.manifest import Allow, HubSource, PathSource
    from hf_pack.ports import Progress, Workspace
    from hf_pack.steps.building.realise import Built
    from hf_pack.steps.locking.add import Added
    from hf_pack.steps.locking.lock import Locked
    from hf_pack.steps.locking.suit import Aim
    from hf_pack.steps.workspace.packages import Package


def init(directory: Path | str = ".") -> Path:
    """Make a workspace; returns its root. Raises UsageError when there is one."""
    return wiring.create_workspace(Path(directory)).root


def add(
    source: Path | str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    name: str | None = None,
    revision: str | None = None,
    repo_id: str | None = None,
    layout: str | None = None,
    triton_name: str | None = None,
    storage: str | None = None,
    file: str | None = None,
    allow_pickle: bool = False,
    allow: Sequence[str] = (),
    headers: bool = True,
    targets: Sequence[str] = (),
    progress: Progress = QUIET,
) -> Added:
    """Write manifest, build metadata and lock for a model: a path on disk, or a repo id on the Hub.

    The weights of a model on disk enter the store while they are hashed. Of a model on the Hub no weight byte is read
    but the headers (not even those with ``headers`` False). ``file`` is the pattern of one among several GGUF files.
    ``targets`` are GPUs that the engine parameters are to fit. ``allow`` are entries of the manifest's ``[allow]`` as
    ``KEY`` or ``KEY=VALUE``. Raises UsageError, SourceError, HubError, PolicyError, StoreError; then the workspace is
    as before.
    """
    from hf_pack.model.manifest import Layout, Storage
    from hf_pack.steps.locking import add as adding
    from hf_pack.steps.locking.propose import Wishes

    place = wiring.open_workspace(Path(workspace))
    return adding.add(
        _asked(place, source, revision),
        Wishes(
            name=name,
            revision=revision,
            repo_id=_repo_id(repo_id) if repo_id else None,
            layout=Layout(layout) if layout else None,
            triton_model_name=triton_name,
            storage=Storage(storage) if storage else None,
        ),
        adding.Choice(file=file, allow_pickle=allow_pickle, allow=_consent(allow), headers=headers),
        place,
        wiring.open_sources(place, progress),
        wiring.open_store(store),
        progress,
        wiring.runtime_knowledge(),
        wiring.open_guard(place),
        _aim_at(targets),
    )


def _aim_at(targets: Sequence[str]) -> Aim | None:
    if not targets:
        return None
    from hf_pack.api.checking import aim_at

    return aim_at(targets)


def lock(
    name: str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    headers: bool = True,
    upgrade: bool = False,
    progress: Progress = QUIET,
) -> Locked:
    """Resolve the manifest's source again and write the lock; with ``upgrade`` in the newest layout version.

    Raises ManifestError, SourceError, HubError, PolicyError, StoreError.
    """
    from hf_pack.layouts.lay_out import LAYOUT_VERSION, LAYOUT_VERSIONS
    from hf_pack.steps.inspecting.remote_code import code_changes
    from hf_pack.steps.locking import lock as locking
    from hf_pack.steps.workspace import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    chosen = wiring.open_store(store)
    manifest = packages.read_manifest(place, workspace_files.find_name(place, name))
    try:
        previous = packages.read_lock(place, manifest.name)[0]
    except LockError:
        previous = None
    keeps_layout = previous is not None and not upgrade and previous.layout_version in LAYOUT_VERSIONS
    version = previous.layout_version if previous is not None and keeps_layout else LAYOUT_VERSION
    opened = locking.open_source(
        manifest,
        wiring.open_sources(place, progress),
        headers=headers,
        guard=wiring.open_guard(place),
        replacements=packages.replacement_contents(place, manifest),
    )
    with chosen.session():
        locked = locking.make_lock(
            manifest, opened, place, chosen, progress, layout_version=version, knowledge=wiring.runtime_knowledge()
        )
        locking.write_lock(manifest.name, locked, place, chosen)
    if previous is None:
        return locked
    changes = code_changes(previous, locked.lock)
    return replace(locked, previous_snapshot_id=previous.source.snapshot_id, code_changes=changes)


def stale(
    name: str,
    *,
    upstream: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> tuple[str, ...]:
    """Why the lock does not fit the manifest or its files any more, a sentence each; empty when it does.

    A source on disk is compared by the sizes of its weights and the content of its small files. With ``upstream``, the
    Hub is asked whether the revision moved and what a new lock would bring. Raises HubError.
    """
    from hf_pack.model.manifest import HubSource
    from hf_pack.steps.comparing.upstream import moved
    from hf_pack.steps.workspace import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    stem = workspace_files.find_name(place, name)
    manifest = packages.read_manifest(place, stem)
    locked, _ = packages.read_lock(place, stem)
    kept = packages.kept_contents(place, stem)
    reasons = tuple(reason.sentence for reason in packages.stale_reasons(place, manifest, locked, kept))
    if not upstream and isinstance(manifest.source, HubSource):
        return reasons
    return reasons + moved(manifest, locked, kept, wiring.open_sources(place, progress), wiring.open_store(store))


def outdated(name: str, *, workspace: Path | str = ".") -> bool:
    """Whether the lock is missing or of another layout version than this hf-pack makes."""
    from hf_pack.layouts.lay_out import LAYOUT_VERSION
    from hf_pack.steps.workspace import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    try:
        return packages.read_lock(place, workspace_files.find_name(place, name))[0].layout_version != LAYOUT_VERSION
    except LockError:
        return True


def plan(name: str, *, workspace: Path | str = ".") -> Package:
    """The locked package; its ``plan`` is the tree, its size and its store path. Nothing is fetched or written.

    Raises ManifestError, LockError (missing or stale lock).
    """
    from hf_pack.steps.workspace import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    return packages.load(place, workspace_files.find_name(place, name))


def build(
    name: str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    offline: bool = False,
    limit_rate: int | None = None,
    progress: Progress = QUIET,
) -> Built:
    """Make the package valid in the store, link ``result-<name>`` to it, write the record.

    What is missing comes from this machine, else (not ``offline``) from caches, mirrors and the Hub; mirrors and the
    Hub together send at most ``limit_rate`` bytes a second. Raises ManifestError for engine parameters that the
    runtimes would not take, LockError, SourceError, HubError, IntegrityError,
    StoreError, PolicyError for a licence or a content that the workspace's policy denies.
    """
    from hf_pack.steps.building import realise
    from hf_pack.steps.workspace import packages, targets, workspace_files
    from hf_pack.steps.workspace.policy import check_gates, check_licence

    place = wiring.open_workspace(Path(workspace))
    package = packages.load(place, workspace_files.find_name(place, name))
    policy = wiring.read_settings(place).policy
    check_licence(policy, package)
    check_gates(policy, package)
    chosen = wiring.open_store(store)
    built = targets.known_store_path(package)
    if built is None or chosen.path_info(built) is None:
        from hf_pack.steps.locking.lock_checks import check_before_build  # loads all that is known of runtimes

        check_before_build(package, wiring.runtime_knowledge())
    places = wiring.open_places(place, chosen, progress, offline=offline, limit_rate=limit_rate)
    return realise.build(package, place, places, chosen, progress)


def bump(name: str, changelog: str, *, workspace: Path | str = ".") -> tuple[str, BuildMeta]:
    """The next build of a package: returns its full version and build metadata. Raises ManifestError."""
    from hf_pack.steps.workspace import bump as bumping
    from hf_pack.steps.workspace import workspace_files

    place = wiring.open_workspace(Path(workspace))
    return bumping.bump(workspace_files.find_name(place, name), changelog, place)


def _asked(workspace: Workspace, source: Path | str, revision: str | None) -> PathSource | HubSource:
    """A path when something is there or it is spelled as one, else a repo id.

    A manifest writes a path as given when it is absolute or starts at the home, else relative to the workspace.
    """
    from hf_pack.model.hub_ids import HubIdError, RepoId
    from hf_pack.model.manifest import HubSource, PathSource
    from hf_pack.model.manifest_document import DEFAULT_REVISION

    text = str(source)
    page = re.fullmatch(r"(?:https?://[^/]+/|hf://(?:models/)?)([^/]+/[^/]+?)(?:/(?:tree|blob)/([^/]+).*|/)?", text)
    if page is not None:  # the model's page on the Hub
        return HubSource(repo_id=_repo_id(page[1]), revision=revision or page[2] or DEFAULT_REVISION)
    if not (isinstance(source, Path) or text.startswith(("/", "~", ".")) or os.path.lexists(text)):
        with suppress(HubIdError):
            return HubSource(repo_id=RepoId.parse(text), revision=revision or DEFAULT_REVISION)
    seen = text if text.startswith(("/", "~")) else os.path.relpath(Path(text).absolute(), workspace.root)
    try:
        seen.encode()
    except UnicodeEncodeError:
        what = f"{text}: a manifest is UTF-8, this path is not"
        raise UsageError(what, hint="rename it, or add a link to it") from None
    return PathSource(path=seen, snapshot_id=revision)


def _consent(texts: Sequence[str]) -> Allow:
    from hf_pack.model.consent import parse_consent

    try:
        return parse_consent(texts)
    except ValueError as error:
        raise UsageError(f"--allow: {error}") from None


def _repo_id(text: str) -> RepoId:
    from hf_pack.model.hub_ids import HubIdError, RepoId

    try:
        return RepoId.parse(text)
    except HubIdError as error:
        raise UsageError(f"not a repo id: {error}", hint="a repo id is ORG/NAME") from None
