"""The Python API: the command line's steps as functions on values.

Every function takes the workspace as a directory in it and the store as its URL (None: ``HF_PACK_STORE``, else the
user's own), and raises :class:`hf_pack.errors.Error` for what a caller can mend.
"""

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

if TYPE_CHECKING:  # every function imports the step that it runs: most commands need one of them
    from hf_pack.adapters.nar_packer import Compression
    from hf_pack.model.build_meta import BuildMeta
    from hf_pack.model.differences import Difference
    from hf_pack.model.findings import Collection
    from hf_pack.model.hub_ids import RepoId
    from hf_pack.model.manifest import HubSource, PathSource
    from hf_pack.model.published import Published
    from hf_pack.ports import Progress, Store, Workspace
    from hf_pack.steps.add import Added
    from hf_pack.steps.contents import Contents, LockedContents
    from hf_pack.steps.lock import Locked
    from hf_pack.steps.packages import Package
    from hf_pack.steps.publish import Shipped
    from hf_pack.steps.pull_packages import Pulled
    from hf_pack.steps.pull_partial import Partial
    from hf_pack.steps.realise import Built
    from hf_pack.steps.verify import Verified

UPSTREAM = "upstream"  #: ``NAME@upstream``: what the manifest's revision is on the Hub now

__all__ = [
    "add",
    "build",
    "bump",
    "collect_garbage",
    "diff",
    "init",
    "lock",
    "plan",
    "publish",
    "stale",
    "verify",
]


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
    headers: bool = True,
    progress: Progress = QUIET,
) -> Added:
    """Write manifest, build metadata and lock for a model: a path on disk, or a repo id on the Hub.

    The weights of a model on disk enter the store while they are hashed. Of a model on the Hub no weight byte is read
    but the headers (not even those with ``headers`` False). ``file`` is the pattern of one among several GGUF files.
    Raises UsageError, SourceError, HubError, PolicyError, StoreError; then the workspace is as before.
    """
    from hf_pack.model.manifest import Layout, Storage
    from hf_pack.steps import add as adding
    from hf_pack.steps.propose import Wishes

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
        adding.Choice(file=file, allow_pickle=allow_pickle, headers=headers),
        place,
        wiring.open_sources(place, progress),
        wiring.open_store(store),
        progress,
        wiring.runtime_knowledge(),
    )


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

    Raises ManifestError, SourceError, HubError, StoreError.
    """
    from hf_pack.layouts.lay_out import LAYOUT_VERSION, LAYOUT_VERSIONS
    from hf_pack.steps import lock as locking
    from hf_pack.steps import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    chosen = wiring.open_store(store)
    manifest = packages.read_manifest(place, workspace_files.find_name(place, name))
    try:
        previous = packages.read_lock(place, manifest.name)[0]
    except LockError:
        previous = None
    keeps_layout = previous is not None and not upgrade and previous.layout_version in LAYOUT_VERSIONS
    version = previous.layout_version if previous is not None and keeps_layout else LAYOUT_VERSION
    opened = locking.open_source(manifest, wiring.open_sources(place, progress), headers=headers)
    with chosen.session():
        locked = locking.make_lock(
            manifest, opened, place, chosen, progress, layout_version=version, knowledge=wiring.runtime_knowledge()
        )
        locking.write_lock(manifest.name, locked, place, chosen)
    return replace(locked, previous_snapshot_id=None if previous is None else previous.source.snapshot_id)


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
    from hf_pack.steps import packages, workspace_files
    from hf_pack.steps.upstream import moved

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
    from hf_pack.steps import packages, workspace_files

    place = wiring.open_workspace(Path(workspace))
    try:
        return packages.read_lock(place, workspace_files.find_name(place, name))[0].layout_version != LAYOUT_VERSION
    except LockError:
        return True


def plan(name: str, *, workspace: Path | str = ".") -> Package:
    """The locked package; its ``plan`` is the tree, its size and its store path. Nothing is fetched or written.

    Raises ManifestError, LockError (missing or stale lock).
    """
    from hf_pack.steps import packages, workspace_files

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
    Hub together send at most ``limit_rate`` bytes a second. Raises LockError, SourceError, HubError, IntegrityError,
    StoreError.
    """
    from hf_pack.steps import packages, realise, workspace_files
    from hf_pack.steps.policy import check_licence

    place = wiring.open_workspace(Path(workspace))
    package = packages.load(place, workspace_files.find_name(place, name))
    check_licence(wiring.read_settings(place).policy, package)
    chosen = wiring.open_store(store)
    places = wiring.open_places(place, chosen, progress, offline=offline, limit_rate=limit_rate)
    return realise.build(package, place, places, chosen, progress)


def verify(
    names: Sequence[str],
    *,
    repair: bool = False,
    caches: Sequence[str] = (),
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Verified:
    """Re-hash packages (names, store paths or ``pname@version``) against lock and store; ``bad`` is empty when all
    is well. With ``repair``, damaged objects are restored from the source where it still has the bytes, else from
    binary caches (URLs; none: ``caches`` of ``hf-pack.toml``), which need no workspace."""
    from hf_pack.steps import targets
    from hf_pack.steps import verify as verifying
    from hf_pack.steps.repair_from_caches import repair_from_caches

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    found = [targets.resolve(name, place, chosen) for name in names]
    workers = os.cpu_count() or 1
    verified = verifying.verify(found, chosen, workers, progress)
    if not repair or not verified.bad:
        return verified
    urls = caches or (() if place is None else wiring.read_settings(place).caches)
    if place is None and not urls:
        raise UsageError(
            "repair needs the workspace of the package, or a cache that has it",
            hint="run it where hf-pack.toml is, or with --from URL",
        )
    if place is not None and any(target.package is not None for target in found):
        places = wiring.open_places(place, chosen, progress)
        verified = verifying.repair(verified, found, place, places, chosen, workers, progress)
    if not verified.bad or not urls:
        return verified
    keys = wiring.read_trust((), False, place).keys
    return repair_from_caches(verified, found, wiring.open_caches(caches, place), keys, chosen, workers, progress)


def diff(
    before: str,
    after: str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Difference:
    """Files, JSON keys and tensors that differ.

    Each side is a name, a store path, ``pname@version``, ``name@GIT_REVISION``, ``name@upstream`` or the path of a lock
    file.
    """
    from hf_pack.steps import diff as comparing

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    return comparing.diff(_contents(before, place, chosen, progress), _contents(after, place, chosen, progress))


def bump(name: str, changelog: str, *, workspace: Path | str = ".") -> tuple[str, BuildMeta]:
    """The next build of a package: returns its full version and build metadata. Raises ManifestError."""
    from hf_pack.steps import bump as bumping
    from hf_pack.steps import workspace_files

    place = wiring.open_workspace(Path(workspace))
    return bumping.bump(workspace_files.find_name(place, name), changelog, place)


def publish(
    name: str,
    *,
    to: Sequence[str] = (),
    sign: Sequence[Path | str] = (),
    compression: Compression = "auto",
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> tuple[Shipped, ...]:
    """Send a built package (a name, a store path or ``pname@version``) and what it refers to into binary caches.

    ``to`` are their URLs (none: ``targets`` of ``hf-pack.toml``), ``sign`` secret key files. Raises UsageError,
    StoreError, IntegrityError, HubError, PolicyError for a version that names another content there.
    """
    from hf_pack.adapters.key_files import read_secret_key
    from hf_pack.adapters.nar_packer import NarFiles
    from hf_pack.steps import publish as publishing
    from hf_pack.steps.locate import locate

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    where = "--to" if to else "hf-pack.toml: targets"
    urls = to or (wiring.read_settings(place).targets if place is not None else ())
    if not urls:
        raise UsageError("nowhere to publish to", hint=f"hf-pack publish {name} --to URL, or targets in hf-pack.toml")
    keys = [read_secret_key(Path(path)) for path in sign]
    storages = [wiring.open_storage(url, where=where) for url in urls]
    store_path = locate(name, place, chosen)
    return tuple(
        publishing.publish(store_path, chosen, storage, NarFiles(compression), keys, progress) for storage in storages
    )


def search(text: str = "", *, caches: Sequence[str] = (), workspace: Path | str = ".") -> tuple[Published, ...]:
    """Versions that were published to binary caches (URLs; none: ``caches`` of ``hf-pack.toml``) and hold every word
    of ``text``. Raises UsageError, HubError."""
    from hf_pack.steps import search as searching

    place = wiring.optional_workspace(Path(workspace))
    where = "--from" if caches else "hf-pack.toml: caches"
    urls = caches or (wiring.read_settings(place).caches if place is not None else ())
    if not urls:
        raise UsageError("no cache to search", hint="hf-pack search --from URL, or caches in hf-pack.toml")
    return searching.search(text, [wiring.open_storage(url, where=where) for url in urls])


def pull(
    names: Sequence[str],
    *,
    caches: Sequence[str] = (),
    trusted_keys: Sequence[str] = (),
    require_signature: bool = False,
    root: Path | str | None = None,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Pulled:
    """Bring published packages (``pname``, ``pname@version`` or a store path) with all that they refer to.

    ``caches`` are URLs (none: ``caches`` of ``hf-pack.toml``). A link keeps each package: at ``root``, else in the
    user's state. Raises UsageError, HubError, IntegrityError, PolicyError for a signature that is missing, StoreError.
    """
    from hf_pack.adapters.pulled_links import make_link, usual_place
    from hf_pack.steps import pull_packages

    if root is not None and len(names) != 1:
        raise UsageError("--root is for one package", hint="pull the packages one by one")
    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    trust = wiring.read_trust(trusted_keys, require_signature, place)
    with chosen.session():
        pulled = pull_packages.pull(names, wiring.open_caches(caches, place), chosen, trust, progress)
        for _, info in pulled.packages:
            usual = usual_place(wiring.pulled_links(), chosen.url, info.store_path)
            link = make_link(usual if root is None else Path(root), chosen.real_path(info.store_path))
            chosen.add_root(link, [info.store_path])
    return pulled


def pull_partial(
    name: str,
    only: str,
    output: Path | str,
    *,
    caches: Sequence[str] = (),
    trusted_keys: Sequence[str] = (),
    require_signature: bool = False,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Partial:
    """Write the files of a published package without its weights into a new directory; nothing enters the store.

    ``only`` is ``config`` (``.json`` and ``.pbtxt``) or ``tree`` (all but weights). Raises as :func:`pull` does.
    """
    from hf_pack.adapters.plain_directory import write_files_alone
    from hf_pack.steps import pull_partial as pulling

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    trust = wiring.read_trust(trusted_keys, require_signature, place)
    found = pulling.pull_partial(name, pulling.Only(only), wiring.open_caches(caches, place), chosen, trust, progress)
    write_files_alone(Path(output).absolute(), found.files)
    return found


def collect_garbage(*, dry_run: bool = False, store: str | None = None) -> Collection:
    """Delete what no root keeps from the store, or say what would be deleted. Raises StoreError."""
    return wiring.open_store(store).collect_garbage(dry_run=dry_run)


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
    return PathSource(path=seen, snapshot_id=revision)


def _repo_id(text: str) -> RepoId:
    from hf_pack.model.hub_ids import HubIdError, RepoId

    try:
        return RepoId.parse(text)
    except HubIdError as error:
        raise UsageError(f"not a repo id: {error}", hint="a repo id is ORG/NAME") from None


def _contents(text: str, workspace: Workspace | None, store: Store, progress: Progress) -> Contents:
    from hf_pack.model.manifest import Storage
    from hf_pack.steps import packages, targets, workspace_files
    from hf_pack.steps.contents import LockedContents, stored_contents
    from hf_pack.steps.upstream import upstream_contents

    if text.endswith(".lock"):
        return _lock_at_path(Path(text), store)
    stem, _, revision = text.partition("@")
    if workspace is not None and revision == UPSTREAM and "/" not in stem:
        name = workspace_files.find_name(workspace, stem)
        manifest, (locked, _) = packages.read_manifest(workspace, name), packages.read_lock(workspace, name)
        return upstream_contents(manifest, locked, wiring.open_sources(workspace, progress))
    if workspace is not None and revision and "+" not in revision and "/" not in stem:
        return _lock_at_revision(workspace_files.find_name(workspace, stem), revision, workspace, store)
    target = targets.resolve(text, workspace, store)
    if target.package is None:
        return stored_contents(target.store_path, store)
    if target.package.manifest.storage is Storage.SELF_CONTAINED and store.path_info(target.store_path) is not None:
        return stored_contents(target.store_path, store)  # its weights may be nowhere else
    return LockedContents(lock=target.package.lock, kept=target.package.kept, store=store)


def _lock_at_path(path: Path, store: Store) -> LockedContents:
    from hf_pack.model import lock_document
    from hf_pack.steps.contents import LockedContents

    try:
        locked = lock_document.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a lock file that is there") from None
    except ValueError as error:
        raise LockError(f"{path}: {error}") from None
    beside = path.with_suffix(".files")
    kept = {
        file.path: (beside / file.path).read_bytes()
        for file in locked.files
        if file.kept_beside_lock and (beside / file.path).is_file() and os.access(beside / file.path, os.R_OK)
    }
    return LockedContents(lock=locked, kept=kept, store=store)


def _lock_at_revision(name: str, revision: str, workspace: Workspace, store: Store) -> LockedContents:
    from hf_pack.model import lock_document
    from hf_pack.steps import workspace_files
    from hf_pack.steps.contents import LockedContents

    contents = workspace.read_at(revision, workspace_files.lock_file(name))
    if contents is None:
        raise UsageError(
            f"git has no {workspace_files.lock_file(name)} at {revision}",
            hint=f"git log -- {workspace_files.lock_file(name)}",
        )
    try:
        locked = lock_document.parse(contents)
    except ValueError as error:
        raise LockError(f"{workspace_files.lock_file(name)} at {revision}: {error}") from None
    kept = {
        file.path: earlier
        for file in locked.files
        if file.kept_beside_lock
        and (earlier := workspace.read_at(revision, workspace_files.kept_file(name, file.path))) is not None
    }
    return LockedContents(lock=locked, kept=kept, store=store)
