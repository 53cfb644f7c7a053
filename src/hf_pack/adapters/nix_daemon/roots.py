"""GC roots: links outside the store that the daemon is told of.

A ``result-…`` link that names its object itself is the root. For a lock, and for a link that holds the real path of an
object in a chroot store (which Nix does not follow), links of ours are: below ``roots/<id>/`` of the user's state, one
for each rooted path, and ``owner``, which says whose they are. They go when the owner is gone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk.locks import locked
from hf_pack.disk.root_owners import OWNER, folders_in, is_alive
from hf_pack.disk.staging import names_in, remove_tree
from hf_pack.formats import nix32
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.model.findings import Root

_LOCK = ".lock"


def add(link: Link, state: State, owner: Path, store_paths: Iterable[StorePath]) -> None:
    """Root these paths, which are valid and protected, in place of what the owner rooted before."""
    # Its folder resolved, so that one owner has one name; the owner itself is often a link.
    place = Path(os.path.realpath(owner.parent)) / owner.name
    wanted = {path.base_name: str(path) for path in store_paths}
    state.roots.mkdir(parents=True, exist_ok=True)
    with locked(state.roots / _LOCK, exclusive=True), link.asking.lend() as connection:
        folder = state.roots / _identity(link, place)
        if owner.is_symlink() and list(wanted.values()) == [str(owner.readlink())]:
            operations.add_indirect_root(connection, str(place))
            remove_tree(folder)
            return
        folder.mkdir(exist_ok=True)
        present = names_in(folder)
        if OWNER not in present:
            (folder / OWNER).symlink_to(place)
        for name in sorted(wanted):
            if name not in present:
                (folder / name).symlink_to(wanted[name])
            operations.add_indirect_root(connection, str(folder / name))
        # What is not wanted goes last: a collector sees too much rather than too little.
        for name in present - wanted.keys() - {OWNER}:
            (folder / name).unlink()


def drop_dead(link: Link, state: State) -> None:
    """Remove our links whose owner is gone; Nix forgets a link that is gone by itself."""
    if not state.roots.is_dir():
        return
    with locked(state.roots / _LOCK, exclusive=True):
        for folder in folders_in(state.roots):
            if not _is_alive(folder, link):
                remove_tree(folder)


def find(link: Link, state: State) -> Iterator[Root]:
    """The roots that the daemon knows of, valid or not; it does not tell of temporary ones."""
    with link.asking.lend() as connection:
        found = operations.find_roots(connection)
    for root in found:
        place = Path(root.link)
        owner: str | None = None
        if place.parent.parent == state.roots:
            if not _is_alive(place.parent, link):
                continue
            owner = str((place.parent / OWNER).readlink())
        elif place.is_absolute() and not place.is_relative_to("/proc") and "gcroots" not in place.parts:
            owner = root.link
        yield Root(store_path=root.store_path, declared_at=root.link, owner=owner)


def _identity(link: Link, owner: Path) -> str:
    return nix32.encode(hashlib.sha1(os.fsencode(f"{link.real_store_dir}\0{owner}")).digest())


def _is_alive(folder: Path, link: Link) -> bool:
    def holds(_owner: Path, target: str) -> bool:
        names = names_in(folder) - {OWNER}
        return any(target in (f"{link.real_store_dir}/{name}", f"{STORE_DIR}/{name}") for name in names)

    return is_alive(folder, holds)
