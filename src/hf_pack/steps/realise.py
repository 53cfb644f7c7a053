"""Realise: from a locked package to a valid object in a store, and the record of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_pack.errors import HubError, IntegrityError, SourceError
from hf_pack.formats.store_path import StorePath, flat_content_address
from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.lock import Blob, LockedFile
from hf_pack.model.manifest import HubSource
from hf_pack.model.path_info import PathInfo
from hf_pack.model.record import PackageRecord
from hf_pack.ports import AddedBlob, FileToAdd, Progress, Sources, Store, WantedBlob, Workspace
from hf_pack.steps.fetch import Elsewhere, Places, fetch
from hf_pack.steps.packages import Package
from hf_pack.steps.targets import known_store_path
from hf_pack.steps.workspace_files import kept_file, lock_file, record_file


@dataclass(frozen=True, kw_only=True)
class Built:
    """A built package and what it cost; ``seconds`` is wall-clock time."""

    name: str
    info: PathInfo
    bytes_read: int
    bytes_written: int
    seconds: float


def build(package: Package, workspace: Workspace, places: Places, store: Store, progress: Progress) -> Built:
    """Bring missing blobs into the store, make the tree, root it by ``result-<name>``, write the record.

    What is in the store by its content is neither read nor written. Raises SourceError or HubError when a blob is
    nowhere to be had, IntegrityError when what was found has other bytes, StoreError.
    """
    started = time.monotonic()
    plan = package.plan
    workspace.require_writable()
    for line in package.warnings:
        progress.note(f"warning: {line}")
    with store.session():
        valid = store.keep([blob.store_path for blob in plan.blobs])
        missing = [blob for blob in plan.blobs if blob.store_path not in valid]
        missing += _wrong_blobs([blob for blob in plan.blobs if blob.store_path in valid], package, store, progress)
        added = bring(missing, package, workspace, places, store, progress) if missing else ()
        tree = store.add_tree(plan, progress)
        for line in second_contents(package, tree.info.store_path, store):
            progress.note(f"warning: {line}")
        real_path = store.real_path(tree.info.store_path)
        earlier = workspace.result_target(package.name)
        if earlier is not None and earlier.parent != real_path.parent:
            progress.note(f"note: result-{package.name} leaves {earlier}; nothing keeps it in that store any more")
        result = workspace.link_result(package.name, real_path)
        store.add_root(result, [tree.info.store_path])
        store.add_root(workspace.root / lock_file(package.name), [blob.store_path for blob in plan.blobs])
        workspace.write(record_file(package.name), record_of(package, tree.info).format())
    return Built(
        name=package.name,
        info=tree.info,
        bytes_read=sum(blob.bytes_read for blob in added) + tree.bytes_read,
        bytes_written=sum(blob.bytes_written for blob in added) + tree.bytes_written,
        seconds=time.monotonic() - started,
    )


def _wrong_blobs(blobs: Sequence[Blob], package: Package, store: Store, progress: Progress) -> list[Blob]:
    """Valid blobs that have other bytes than the lock says: those that the store does not vouch for are re-hashed.

    Raises IntegrityError when the package is in the store: it is damaged then, and not only to be brought anew.
    """
    doubtful = [blob for blob in blobs if not _is_by_content(blob, store)]
    if not doubtful:
        return []
    progress.start("check", sum(blob.size for blob in doubtful))
    problems = {blob: store.check(blob.store_path, progress, sha256=blob.sha256) for blob in doubtful}
    progress.finish()
    wrong = [blob for blob in doubtful if problems[blob]]
    store_path = known_store_path(package)
    if wrong and store_path is not None and store.path_info(store_path) is not None:
        lines = "".join(f"\n  {blob.store_path}: {problems[blob][0].problem}" for blob in wrong)
        raise IntegrityError(
            f"{package.name}: the store has other bytes than the lock says{lines}",
            hint=f"hf-pack verify {package.name} --repair",
        )
    return wrong


def _is_by_content(blob: Blob, store: Store) -> bool:
    info = store.path_info(blob.store_path)
    return info is not None and info.content_address == flat_content_address(blob.sha256)


def bring(
    missing: Sequence[Blob],
    package: Package,
    workspace: Workspace,
    places: Places,
    store: Store,
    progress: Progress,
) -> tuple[AddedBlob, ...]:
    """Make these blobs valid: from beside the lock, from the source on disk, else by :func:`hf_pack.steps.fetch.fetch`.

    Raises SourceError that names every file which is nowhere.
    """
    locked = {file.blob: file for file in package.lock.files if file.is_blob}
    needed = [locked[blob] for blob in missing]
    on_disk = places_on_disk(needed, package, workspace, places.disk)
    absent = [file for file in needed if file.path not in on_disk]
    elsewhere = places.elsewhere() if absent else Elsewhere()
    on_hub = package.lock.source.snapshot_kind is SnapshotKind.COMMIT
    if not on_hub:
        elsewhere = replace(elsewhere, hub=())
    if absent and not (elsewhere.finders or elsewhere.sources or elsewhere.hub):
        raise _nowhere(absent, package)  # before gigabytes are copied in vain
    found = [file_to_add(file, on_disk[file.path]) for file in needed if file.path in on_disk]
    added = store.add_blobs(found, progress)
    if not absent:
        return added
    try:
        return added + fetch(wanted_blobs(absent, package), elsewhere, store, progress)
    except HubError:
        if on_hub or elsewhere.sources:
            raise
        raise _nowhere(absent, package) from None  # no network could help


def file_to_add(file: LockedFile, place: Path) -> FileToAdd:
    """A locked file found on disk; the store takes it only with the locked bytes."""
    return FileToAdd(name=file.blob.name, real_path=place, expected=file.sha256)


def places_on_disk(
    files: Sequence[LockedFile], package: Package, workspace: Workspace, disk: Sources
) -> dict[str, Path]:
    """Where the bytes of these files lie on this machine, by path: beside the lock, or in the manifest's source."""
    kept = {file.path: workspace.root / kept_file(package.name, file.path) for file in files if file.kept_beside_lock}
    source = package.manifest.source
    if len(kept) == len(files) or isinstance(source, HubSource):
        return kept
    try:
        listing = disk.open(replace(source, snapshot_id=package.lock.source.wanted_snapshot)).listing
    except SourceError:
        return kept  # the source is gone or damaged; the sha256 of the lock finds the bytes elsewhere
    offered = {file.path: file.real_path for file in listing.files if file.real_path is not None}
    return {file.path: offered[file.path] for file in files if file.path in offered} | kept


def wanted_blobs(files: Sequence[LockedFile], package: Package) -> list[WantedBlob]:
    """What to ask other places for; the Hub knows the snapshot only when it is a commit."""
    source = package.lock.source
    return [
        WantedBlob(blob=file.blob, repo_id=source.repo_id, commit_hash=source.snapshot_id, path=file.path)
        for file in files
    ]


def _nowhere(files: Sequence[LockedFile], package: Package) -> SourceError:
    lines = "\n".join(f"  {file.path}: {file.size} bytes, sha256 {file.sha256.hex()}" for file in files)
    source = package.manifest.source
    hint = (
        f"hf-pack build {package.name} without --offline"
        if isinstance(source, HubSource)
        else f"put the model back at {source.path}, or lock again: hf-pack lock {package.name}"
    )
    return SourceError(
        f"{package.name}: {len(files)} of its files are neither in the store nor in the source\n{lines}", hint=hint
    )


def second_contents(package: Package, store_path: StorePath, store: Store) -> list[str]:
    """Sentences about other contents that go by the same name and version, from the record and the store."""
    others = set(store.named(store_path.name))
    earlier = package.record
    if earlier is not None and earlier.store_path.name == store_path.name:
        others.add(earlier.store_path)
    others.discard(store_path)
    return [
        f"{store_path.name} names a second content: {other} (now {store_path}); "
        f"give this one a version of its own: hf-pack bump {package.name} -m TEXT"
        for other in sorted(others)
    ]


def record_of(package: Package, info: PathInfo) -> PackageRecord:
    """The record of a built package."""
    return PackageRecord(
        store_path=info.store_path,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        references=info.references,
        plan_digest=package.plan.digest(),
        lock_digest=package.lock_digest,
    )
