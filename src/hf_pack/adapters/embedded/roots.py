"""GC roots: the links from which a collector starts, ours among them.

Ours are direct links, since Nix follows an indirect one only when it holds a logical ``/nix/store/…`` path,
and a link that people use holds the real one. Under ``gcroots/hf-pack/<id>/`` lie one link for each rooted path, and
``owner``, which says whose they are: they count for as long as the owner is there.

A link of another host, or one that was made when the store lay elsewhere, may be out of sight from here: ``made-at``
says which host and place the root is from, and there alone it can be found dead.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded import temp_roots
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.locks import locked
from hf_pack.disk.root_owners import OWNER, folders_in, is_alive
from hf_pack.disk.staging import names_in, remove_tree
from hf_pack.formats import nix32
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Root

_MADE_AT = "made-at"
_MACHINE_ID = Path("/etc/machine-id")  # machine-id(5)


def add(layout: StoreLayout, owner: Path, store_paths: Iterable[StorePath]) -> None:
    """Root these paths, which are valid and protected, in place of what the owner rooted before."""
    # Its folder resolved, so that one owner has one name; the owner itself is often a link.
    place = Path(os.path.realpath(owner.parent)) / owner.name
    identity = nix32.encode(hashlib.sha1(f"{_host()}\0".encode() + os.fsencode(place)).digest())
    folder = layout.our_roots / identity
    wanted = {path.base_name: str(path) for path in store_paths}
    with locked(layout.roots_lock, exclusive=True):
        folder.mkdir(parents=True, exist_ok=True)
        present = names_in(folder)
        if OWNER not in present:
            (folder / OWNER).symlink_to(place)
        if _made_at(folder) != (here := _here(layout)):
            durable.replace_symlink(folder / _MADE_AT, here)
        missing = sorted(wanted.keys() - present)
        for name in missing:
            (folder / name).symlink_to(wanted[name])
        if missing:  # on disk too, before anybody relies on them
            durable.sync(folder)
            durable.sync(layout.our_roots)
        # What is not wanted goes last: a collector sees too much rather than too little.
        for name in present - wanted.keys() - {OWNER, _MADE_AT}:
            (folder / name).unlink()


def drop_dead(layout: StoreLayout) -> None:
    """Remove our roots whose owner is gone, and indirect roots whose link is gone, as Nix does."""
    if layout.our_roots.is_dir():
        with locked(layout.roots_lock, exclusive=True):
            for folder in folders_in(layout.our_roots):
                if not _is_alive(folder, layout):
                    remove_tree(folder)
    automatic = layout.gc_roots / "auto"
    for link in sorted(automatic.iterdir()) if automatic.is_dir() else ():
        if link.is_symlink() and not os.path.lexists(link.parent / link.readlink()):
            link.unlink(missing_ok=True)


def find(layout: StoreLayout) -> Iterator[Root]:
    """All roots but temporary ones; also those that point to paths which are not valid."""
    for folder in folders_in(layout.our_roots):
        if _is_alive(folder, layout):
            owner, elsewhere = str((folder / OWNER).readlink()), _elsewhere(folder, layout)
            for link in sorted(folder.iterdir()):
                if link.name not in (OWNER, _MADE_AT):
                    yield from _direct(link, layout, owner, elsewhere)
    for top in (layout.gc_roots, layout.profiles):
        yield from _find_below(top, layout)


def find_temporary(layout: StoreLayout, *, remove_stale: bool = False) -> Iterator[Root]:
    """The temporary roots of living processes."""
    for file, text in temp_roots.read_all(layout, remove_stale=remove_stale):
        if (store_path := layout.store_path_of(text)) is not None:
            yield Root(store_path=store_path, declared_at=str(file), owner=None)


def _find_below(path: Path, layout: StoreLayout) -> Iterator[Root]:
    if path == layout.our_roots:
        return
    try:
        mode = path.lstat().st_mode
        children = sorted(path.iterdir()) if stat.S_ISDIR(mode) else []
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # as Nix does: what cannot be read holds nothing
    for child in children:
        yield from _find_below(child, layout)
    if stat.S_ISLNK(mode):
        yield from _direct(path, layout, None)
        # An indirect root: a link to a link into the store.
        with contextlib.suppress(OSError):
            indirect = Path(os.path.normpath(path.parent / path.readlink()))
            if layout.store_path_of(str(indirect)) is None and indirect.is_symlink():
                yield from _direct(indirect, layout, str(indirect))
    elif stat.S_ISREG(mode):
        with contextlib.suppress(FormatError):
            store_path = StorePath.parse_base_name(path.name)
            yield Root(store_path=store_path, declared_at=str(path), owner=None)


def _direct(link: Path, layout: StoreLayout, owner: str | None, elsewhere: str | None = None) -> Iterator[Root]:
    try:
        target = os.path.normpath(link.parent / link.readlink())
    except OSError:
        return
    if (store_path := layout.store_path_of(target)) is not None:
        yield Root(store_path=store_path, declared_at=str(link), owner=owner, elsewhere=elsewhere)


def _is_alive(folder: Path, layout: StoreLayout) -> bool:
    def holds(owner: Path, target: str) -> bool:
        owned = layout.store_path_of(target) or layout.store_path_of(os.path.realpath(owner))
        return owned is not None and os.path.lexists(folder / owned.base_name)

    if _elsewhere(folder, layout) is not None:
        return os.path.lexists(folder / OWNER)
    return is_alive(folder, holds)


def _elsewhere(folder: Path, layout: StoreLayout) -> str | None:
    """The host and the store's place there, of a root that was made at another than these."""
    made_at = _made_at(folder)
    return None if made_at in (None, _here(layout)) else made_at


def _made_at(folder: Path) -> str | None:
    try:
        return str((folder / _MADE_AT).readlink())
    except OSError:
        return None


def _here(layout: StoreLayout) -> str:
    return f"{_host()}:{layout.root}"


@functools.cache
def _host() -> str:
    """The same as long as the machine, or the container, is."""
    with contextlib.suppress(OSError):
        if identity := _MACHINE_ID.read_text("ascii", "replace").strip():
            return identity
    return platform.node()
