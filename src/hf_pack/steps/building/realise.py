"""Realise: from a locked package to a valid object in a store, and the record of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from hf_pack.formats.store_path import StorePath
from hf_pack.model.manifest import Storage
from hf_pack.model.path_info import PathInfo
from hf_pack.model.record import PackageRecord
from hf_pack.ports import AddedBlob, AddedTree, Progress, Store, Workspace
from hf_pack.steps.building.bring import bring, wrong_blobs
from hf_pack.steps.building.fetch import Places
from hf_pack.steps.building.stream_tree import stream_tree
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import known_store_path
from hf_pack.steps.workspace.workspace_files import lock_file, record_file


@dataclass(frozen=True, kw_only=True)
class Built:
    """A built package and what it cost; ``seconds`` is wall-clock time."""

    package: Package
    info: PathInfo
    bytes_read: int
    bytes_written: int
    seconds: float


def build(package: Package, workspace: Workspace, places: Places, store: Store, progress: Progress) -> Built:
    """Bring missing blobs into the store, make the tree, root it by ``result-<name>``, write the record.

    What is in the store by its content is neither read nor written; a self-contained tree that is there, or that a
    substituter has, needs no blobs. Raises SourceError or HubError when a blob is nowhere to be had, IntegrityError
    when what was found has other bytes, StoreError.
    """
    started = time.monotonic()
    plan = package.plan
    workspace.require_writable()
    for line in package.warnings:
        progress.note(f"warning: {line}")
    with store.session():
        added, tree = _realised(package, workspace, places, store, progress)
        for line in second_contents(package, tree.info.store_path, store):
            progress.note(f"warning: {line}")
        real_path = store.real_path(tree.info.store_path)
        earlier = workspace.result_target(package.name)
        if earlier is not None and earlier.parent != real_path.parent:
            progress.note(f"note: result-{package.name} leaves {earlier}; nothing keeps it in that store any more")
        result = workspace.link_result(package.name, real_path)
        store.add_root(result, [tree.info.store_path])
        # Blobs that only a self-contained tree was made of would be a second copy.
        streams = plan.storage is Storage.SELF_CONTAINED and store.streamer is not None
        kept = () if streams else store.valid_paths(blob.store_path for blob in plan.blobs)
        store.add_root(workspace.root / lock_file(package.name), kept)
        workspace.write(record_file(package.name), record_of(package, tree.info).format())
    return Built(
        package=package,
        info=tree.info,
        bytes_read=sum(blob.bytes_read for blob in added) + tree.bytes_read,
        bytes_written=sum(blob.bytes_written for blob in added) + tree.bytes_written,
        seconds=time.monotonic() - started,
    )


def _realised(
    package: Package, workspace: Workspace, places: Places, store: Store, progress: Progress
) -> tuple[Sequence[AddedBlob], AddedTree]:
    """What was brought, and the tree."""
    plan = package.plan
    if plan.storage is Storage.SELF_CONTAINED:
        if (tree := _tree_that_is_there(package, places, store, progress)) is not None:
            return (), tree
        if store.streamer is not None:
            return stream_tree(package, store.streamer, workspace, places, store, progress)
    valid = store.keep([blob.store_path for blob in plan.blobs])
    missing = [blob for blob in plan.blobs if blob.store_path not in valid]
    missing += wrong_blobs([blob for blob in plan.blobs if blob.store_path in valid], package, store, progress)
    added = bring(missing, package, workspace, places, store, progress) if missing else ()
    return added, store.add_tree(plan, progress)


def _tree_that_is_there(package: Package, places: Places, store: Store, progress: Progress) -> AddedTree | None:
    """A self-contained tree in the store or in its substituters, where it was before or where the record says."""
    recorded = known_store_path(package)
    found = store.find_tree(package.plan, recorded)
    if found is None and recorded is not None and places.substitutes():
        store.substitute({recorded: package.plan.nar_size}, progress)
        found = store.find_tree(package.plan, recorded)
    return found


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
