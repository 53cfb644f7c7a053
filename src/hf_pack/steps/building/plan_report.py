"""What a person or a script wants to know of a plan before it is built."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Entry, Plan, RegularFile
from hf_pack.ports import Store
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import known_store_path


@dataclass(frozen=True, kw_only=True)
class ReportedEntry:
    """``kind`` is ``file`` or ``symlink``; ``size`` in bytes, for a link that of its blob, None without one."""

    path: str
    kind: str
    size: int | None
    target: str | None


@dataclass(frozen=True, kw_only=True)
class ReportedBlob:
    """``present`` says whether the store has it."""

    store_path: StorePath
    sha256: Hash
    size: int
    present: bool


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """The contract's JSON of `plan` (DESIGN.md, section 6), key by key; sizes are bytes.

    ``store_path`` is None for a self-contained package that was never built. ``fetch_size`` is what must come from
    somewhere, ``disk_needed`` that and the tree itself: for a self-contained one in the machine's store the tree alone.
    """

    name: str
    store_path: StorePath | None
    storage: Storage
    nar_size: int
    closure_size: int
    fetch_size: int
    disk_needed: int
    licence: str | None
    gated: str | None
    plan_digest: Hash
    entries: tuple[ReportedEntry, ...]
    blobs: tuple[ReportedBlob, ...]


def report(package: Package, store: Store) -> PlanReport:
    """Looks into the store for what is there; nothing is fetched or written."""
    plan = package.plan
    present = store.valid_paths(blob.store_path for blob in plan.blobs)
    store_path = known_store_path(package)
    there = store_path is not None and store.path_info(store_path) is not None
    solid = plan.storage is Storage.SELF_CONTAINED
    needs_blobs = not (solid and there)
    missing = sum(blob.size for blob in plan.blobs if needs_blobs and blob.store_path not in present)
    if there:
        disk_needed = missing
    else:
        disk_needed = plan.nar_size if solid and store.streamer is not None else missing + _tree_bytes(plan)
    return PlanReport(
        name=plan.name,
        store_path=store_path,
        storage=plan.storage,
        nar_size=plan.nar_size,
        closure_size=plan.closure_size,
        fetch_size=missing,
        disk_needed=disk_needed,
        licence=package.lock.licence,
        gated=package.lock.source.gated,
        plan_digest=plan.digest(),
        entries=tuple(_entry(entry) for entry in plan.entries),
        blobs=tuple(
            ReportedBlob(
                store_path=blob.store_path,
                sha256=blob.sha256,
                size=blob.size,
                present=blob.store_path in present,
            )
            for blob in plan.blobs
        ),
    )


def _tree_bytes(plan: Plan) -> int:
    """Bytes that the tree itself holds: its files, not its blobs (a self-contained tree hard-links those)."""
    return sum(
        entry.size for entry in plan.entries if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    )


def _entry(entry: Entry) -> ReportedEntry:
    if isinstance(entry, RegularFile):
        return ReportedEntry(path=entry.path, kind="file", size=entry.size, target=None)
    size = entry.blob.size if entry.blob else None
    return ReportedEntry(path=entry.path, kind="symlink", size=size, target=entry.target)
