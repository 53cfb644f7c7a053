"""Bringing staged objects into the store: locked, whole, registered. The one way anything becomes valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk import objects
from hf_pack.disk.locks import object_locks
from hf_pack.disk.staging import remove_tree
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """An object in staging, on disk and canonical, and what it is to be registered as."""

    path: Path
    info: PathInfo


def place(staged: Sequence[Staged], layout: StoreLayout, database: Database) -> frozenset[StorePath]:
    """Move objects in and make them valid, all or none; returns those that were not there before.

    Temporary roots of all of them are taken before. Order on disk: contents and staging (the caller), the
    renames, the store directory, the database; so whatever is valid is whole after a crash, and what is
    only in place is a leftover that the next run, or any collector, removes.

    A path follows from its content: one that was recorded with another NAR hash than the staged object, which is
    proved, gives way to it; one that was recorded without its content address gets that.
    """
    by_path = {item.info.store_path: item for item in staged}
    moved, renewed = set(), set()
    with object_locks(map(layout.real_path, by_path)):
        known = database.facts(by_path)
        for store_path, item in by_path.items():
            real_path, info = layout.real_path(store_path), known.get(store_path)
            if info is None or info.nar_hash != item.info.nar_hash or not objects.is_whole(real_path, item.info):
                remove_tree(real_path)
                objects.move_in(item.path, real_path)
                moved.add(store_path)
            elif info.content_address != item.info.content_address:
                renewed.add(store_path)
        if moved:
            durable.sync(layout.store_dir)
        if moved or renewed:
            database.register([by_path[path].info for path in sorted(moved | renewed)])
    return frozenset(moved)


def replace(staged: Staged, layout: StoreLayout, database: Database, *, aside: Path) -> None:
    """Put a proven object in the place of a damaged or missing one."""
    real_path = layout.real_path(staged.info.store_path)
    with object_locks([real_path]):
        _forget_optimised(real_path, staged.info, layout)
        objects.replace(staged.path, real_path, aside=aside)
        durable.sync(layout.store_dir)
        database.register([staged.info])


def _forget_optimised(real_path: Path, info: PathInfo, layout: StoreLayout) -> None:
    """Drop the damaged file from Nix's links: otherwise it would be linked to again by the next optimise."""
    optimised = layout.links_dir / info.nar_hash.nix32()
    if optimised.exists() and real_path.is_file() and optimised.samefile(real_path):
        optimised.unlink()
