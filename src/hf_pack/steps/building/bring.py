"""Bring: make the blobs that a store lacks valid, from wherever their bytes are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hf_pack.errors import HubError, IntegrityError, SourceError
from hf_pack.formats import nar
from hf_pack.formats.store_path import flat_content_address
from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.lock import Blob, LockedFile
from hf_pack.model.manifest import HubSource
from hf_pack.ports import AddedBlob, FileToAdd, Progress, Sources, Store, WantedBlob, Workspace
from hf_pack.steps.building.fetch import Elsewhere, Places, fetch
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import known_store_path
from hf_pack.steps.workspace.workspace_files import kept_file


def wrong_blobs(blobs: Sequence[Blob], package: Package, store: Store, progress: Progress) -> list[Blob]:
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
    """Make these blobs valid: from the store's substituters, from beside the lock, from the source on disk, else by
    :func:`hf_pack.steps.building.fetch.fetch`.

    Raises SourceError that names every file which is nowhere.
    """
    missing = _not_substituted(missing, package, places, store, progress)
    locked = {file.blob: file for file in package.lock.files if file.is_blob}
    needed = [locked[blob] for blob in missing]
    on_disk = places_on_disk(needed, package, workspace, places.disk)
    absent = [file for file in needed if file.path not in on_disk]
    elsewhere = elsewhere_for(package, places) if absent else Elsewhere()
    if absent and not (elsewhere.finders or elsewhere.sources or elsewhere.hub):
        raise nowhere(absent, package)  # before gigabytes are copied in vain
    found = [file_to_add(file, on_disk[file.path]) for file in needed if file.path in on_disk]
    added = store.add_blobs(found, progress)
    if not absent:
        return added
    with no_network_helps(absent, package, elsewhere):
        return added + fetch(wanted_blobs(absent, package), elsewhere, store, progress)


def _not_substituted(
    missing: Sequence[Blob], package: Package, places: Places, store: Store, progress: Progress
) -> list[Blob]:
    """What the store's substituters do not have, or have with other bytes."""
    if not missing or not places.substitutes():
        return list(missing)
    came = store.substitute({blob.store_path: nar.file_size(blob.size) for blob in missing}, progress)
    wrong = wrong_blobs([blob for blob in missing if blob.store_path in came], package, store, progress)
    return [blob for blob in missing if blob.store_path not in came or blob in wrong]


def vouched_for(blobs: Iterable[Blob], store: Store) -> frozenset[Blob]:
    """Those that are valid by their content; they stay so for the session."""
    wanted = list(blobs)
    valid = store.keep(blob.store_path for blob in wanted)
    return frozenset(blob for blob in wanted if blob.store_path in valid and _is_by_content(blob, store))


def elsewhere_for(package: Package, places: Places) -> Elsewhere:
    """Other places that may have the package's files; the Hub only when it knows the snapshot."""
    elsewhere = places.elsewhere()
    return elsewhere if _is_on_hub(package) else replace(elsewhere, hub=())


@contextmanager
def no_network_helps(files: Sequence[LockedFile], package: Package, elsewhere: Elsewhere) -> Iterator[None]:
    """Turn the failure to fetch what no network could have into :func:`nowhere`."""
    try:
        yield
    except HubError:
        if _is_on_hub(package) or elsewhere.sources:
            raise
        raise nowhere(files, package) from None


def _is_on_hub(package: Package) -> bool:
    return package.lock.source.snapshot_kind is SnapshotKind.COMMIT


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


def nowhere(files: Sequence[LockedFile], package: Package) -> SourceError:
    """The error that names files which nobody has."""
    lines = "\n".join(f"  {file.path}: {file.size} bytes, sha256 {file.sha256.hex()}" for file in files)
    source = package.manifest.source
    hint = (
        f"hf-pack build {package.name}, not --offline"
        if isinstance(source, HubSource)
        else f"put the model back at {source.path}, or lock again: hf-pack lock {package.name}"
    )
    return SourceError(
        f"{package.name}: {len(files)} of its files are neither in the store nor in the source\n{lines}", hint=hint
    )
