"""Realise: from a locked package to a valid object in a store, and the record of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from hf_pack.errors import SourceError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob, LockedFile
from hf_pack.model.manifest import HubSource
from hf_pack.model.path_info import PathInfo
from hf_pack.model.record import PackageRecord
from hf_pack.ports import FileToAdd, Progress, Sources, Store, Workspace
from hf_pack.steps.packages import Package
from hf_pack.steps.workspace_files import kept_file, lock_file, record_file


@dataclass(frozen=True, kw_only=True)
class Built:
    """A built package and what it cost; ``seconds`` is wall-clock time."""

    name: str
    info: PathInfo
    bytes_read: int
    bytes_written: int
    seconds: float


def build(package: Package, workspace: Workspace, sources: Sources, store: Store, progress: Progress) -> Built:
    """Bring missing blobs into the store, make the tree, root it by ``result-<name>``, write the record.

    What is in the store already is neither read nor written. Raises SourceError when a blob is nowhere to be had,
    IntegrityError when the source holds other bytes now, StoreError.
    """
    started = time.monotonic()
    plan = package.plan
    read = written = 0
    with store.session():
        valid = store.keep([blob.store_path for blob in plan.blobs])
        missing = [blob for blob in plan.blobs if blob.store_path not in valid]
        if missing:
            added = store.add_blobs(files_for(missing, package, workspace, sources), progress)
            read = sum(blob.bytes_read for blob in added)
            written = sum(blob.bytes_written for blob in added)
        tree = store.add_tree(plan, progress)
        for line in second_contents(package, tree.info.store_path, store):
            progress.note(f"warning: {line}")
        result = workspace.link_result(package.name, store.real_path(tree.info.store_path))
        store.add_root(result, [tree.info.store_path])
        store.add_root(workspace.root / lock_file(package.name), [blob.store_path for blob in plan.blobs])
        workspace.write(record_file(package.name), record_of(package, tree.info).format())
    return Built(
        name=package.name,
        info=tree.info,
        bytes_read=read + tree.bytes_read,
        bytes_written=written + tree.bytes_written,
        seconds=time.monotonic() - started,
    )


def files_for(blobs: list[Blob], package: Package, workspace: Workspace, sources: Sources) -> list[FileToAdd]:
    """Where the bytes of these blobs can be had: beside the lock, else in the manifest's source.

    Raises SourceError that names every file which is nowhere.
    """
    locked = {file.blob: file for file in package.lock.files if file.is_blob}
    needed = [locked[blob] for blob in blobs]
    kept = {file.path: workspace.root / kept_file(package.name, file.path) for file in needed if file.kept_beside_lock}
    places = kept | _source_paths([file for file in needed if file.path not in kept], package, sources)
    absent = [file for file in needed if file.path not in places]
    if absent:
        lines = "\n".join(f"  {file.path}: {file.size} bytes, sha256 {file.sha256.hex()}" for file in absent)
        raise SourceError(
            f"{package.name}: {len(absent)} of its files are neither in the store nor in the source\n{lines}",
            hint=f"put the model back, or lock again: hf-pack lock {package.name}",
        )
    return [FileToAdd(name=file.blob.name, real_path=places[file.path], expected=file.sha256) for file in needed]


def _source_paths(files: list[LockedFile], package: Package, sources: Sources) -> dict[str, Path]:
    if not files:
        return {}
    asked = package.manifest.source
    if isinstance(asked, HubSource):
        return {}
    try:
        listing = sources.open(replace(asked, snapshot_id=package.lock.source.wanted_snapshot)).listing
    except SourceError as error:
        names = "\n".join(f"  {file.path}: {file.size} bytes" for file in files)
        raise SourceError(
            f"{package.name}: {len(files)} of its files are not in the store, and the source is of no help\n"
            f"{names}\n  {error.message}",
            hint=error.hint or f"put the model back at {asked.path}",
        ) from None
    wanted = {file.path for file in files}
    return {file.path: file.real_path for file in listing.files if file.path in wanted and file.real_path is not None}


def second_contents(package: Package, store_path: StorePath, store: Store) -> list[str]:
    """Sentences about other contents that go by the same name and version, from the record and the store."""
    others = {info.store_path for info in store.all_paths() if info.store_path.name == store_path.name}
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
