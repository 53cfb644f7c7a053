"""Garbage collection: mark from the roots, delete the rest, beside whoever adds meanwhile (Nix's ``gc.cc``).

The collector holds the collector lock exclusively, so that nobody can add a root without telling it. Roots
that come while it deletes are told to its socket, and answered when what they protect is not being deleted.
Like Nix it compares by the digest part of a path, so that ``<path>.lock`` lives as long as its path is rooted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

from hf_pack.adapters.embedded import roots, running
from hf_pack.adapters.embedded.database import Database, Graph
from hf_pack.adapters.embedded.gc_socket import serving
from hf_pack.adapters.embedded.layout import LINKS, StoreLayout
from hf_pack.disk import reception, staging
from hf_pack.disk.locks import locked
from hf_pack.disk.staging import names_in
from hf_pack.disk.usage import disk_bytes
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.model.findings import Collection

_BATCH = 64  # paths that are made invalid in one transaction, each of which waits for the disk
_DIGEST = 32  # characters of a base name before the dash


def collect(layout: StoreLayout, database: Database) -> Collection:
    """Delete what no root reaches. OSError is the caller's to turn."""
    with locked(layout.gc_lock, exclusive=True):
        protection = _Protection()
        with serving(layout.gc_socket, protection.protect):
            roots.drop_dead(layout)
            names, digests = _marks(layout, remove_stale=True)
            graph = database.graph()
            protection.begin(graph, names, digests)
            freed = 0
            deleted: list[str] = []
            for batch in _batches(_dead(layout, graph, protection)):
                with protection.deleting(batch) as unprotected:
                    valid = [name for name in unprotected if name in graph.needs]
                    gone = {*database.invalidate(valid), *(set(unprotected) - graph.needs.keys())}
                    for name in unprotected:
                        if name in gone:
                            freed += staging.remove_tree(layout.store_dir / name)
                            deleted.append(name)
            freed += _remove_unused_links(layout)
            _forget_trees(layout)
    freed += staging.remove_dead(layout.staging) + reception.remove_abandoned(layout.receiving)
    kept = len(graph.needs) - len(graph.needs.keys() & set(deleted))
    return Collection(deleted=_store_paths(deleted), kept=kept, freed=freed)


def preview(layout: StoreLayout, database: Database) -> Collection:
    """What :func:`collect` would do now. Changes nothing, takes no lock."""
    names, digests = _marks(layout, remove_stale=False)
    graph = database.graph()
    protection = _Protection()
    protection.begin(graph, names, digests)
    dead = _dead(layout, graph, protection)
    objects = [layout.store_dir / name for name in dead]
    leftovers = [*staging.dead_folders(layout.staging), *reception.abandoned_folders(layout.receiving)]
    freed = disk_bytes([*objects, *leftovers], layout.links_dir)
    kept = len(graph.needs) - sum(name in graph.needs for name in dead)
    return Collection(deleted=_store_paths(dead), kept=kept, freed=freed)


class _Protection:
    """What must not be deleted, growing while the collector runs. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._graph = Graph(needs={})
        self._by_digest: dict[str, str] = {}
        self._alive: set[str] = set()
        self._digests: set[str] = set()
        self._being_deleted: frozenset[str] = frozenset()

    def begin(self, graph: Graph, names: Iterable[str], digests: Iterable[str]) -> None:
        """Take the graph and the roots that were found; those that were told before count too."""
        with self._changed:
            self._graph = graph
            self._by_digest = {name[:_DIGEST]: name for name in graph.needs}
            self._digests.update(digests)
            temporary = [self._by_digest[digest] for digest in self._digests if digest in self._by_digest]
            self._alive = graph.closure([*names, *temporary])

    def protect(self, text: str) -> None:
        """A new temporary root. At return it is not being deleted, and will not be."""
        if not text.startswith(STORE_DIR + "/"):
            return
        digest = text[len(STORE_DIR) + 1 :][:_DIGEST]
        with self._changed:
            self._digests.add(digest)
            if digest in self._by_digest:
                self._alive |= self._graph.closure([self._by_digest[digest]])
            self._changed.wait_for(lambda: digest not in self._being_deleted)

    def covers(self, name: str) -> bool:
        """Whether the object, or the lock of that object, stays."""
        return name in self._alive or name[:_DIGEST] in self._digests

    @contextmanager
    def deleting(self, batch: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Gives those of ``batch`` that nobody has rooted yet; who roots one waits for the end of the block."""
        with self._changed:
            unprotected = tuple(name for name in batch if not self.covers(name))
            self._being_deleted = frozenset(name[:_DIGEST] for name in unprotected)
        try:
            yield unprotected
        finally:
            with self._changed:
                self._being_deleted = frozenset()
                self._changed.notify_all()


def _marks(layout: StoreLayout, *, remove_stale: bool) -> tuple[set[str], set[str]]:
    """The base names of rooted paths, and the digests of temporarily rooted ones."""
    names = {root.store_path.base_name for root in chain(roots.find(layout), running.find())}
    digests = {root.store_path.digest for root in roots.find_temporary(layout, remove_stale=remove_stale)}
    return names, digests


def _dead(layout: StoreLayout, graph: Graph, protection: _Protection) -> list[str]:
    """Base names to delete: valid paths, what refers to others before those, then what is not valid."""
    valid = {name for name in graph.needs if not protection.covers(name)}
    order = TopologicalSorter({name: valid.intersection(graph.needs[name]) - {name} for name in valid})
    entries = names_in(layout.store_dir) - {LINKS}
    leftovers = [name for name in sorted(entries - graph.needs.keys()) if not protection.covers(name)]
    return [*reversed(tuple(order.static_order())), *leftovers]


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))


def _remove_unused_links(layout: StoreLayout) -> int:
    freed = 0
    if layout.links_dir.is_dir():
        with os.scandir(layout.links_dir) as links:
            for link in links:
                status = link.stat(follow_symlinks=False)
                if status.st_nlink == 1:
                    Path(link.path).unlink()
                    freed += status.st_blocks * 512
    return freed


def _forget_trees(layout: StoreLayout) -> None:
    for name in names_in(layout.known_trees.directory):
        memory = layout.known_trees.directory / name
        if not os.path.lexists(layout.store_dir / memory.readlink()):
            memory.unlink(missing_ok=True)


def _store_paths(names: Iterable[str]) -> tuple[StorePath, ...]:
    """Those that are store paths, sorted: no lock, and nothing that is not named as an object."""
    found = []
    for name in names:
        try:
            if not name.endswith(".lock"):
                found.append(StorePath.parse_base_name(name))
        except FormatError:
            continue
    return tuple(sorted(found))
