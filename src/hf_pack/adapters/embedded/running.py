"""What running processes use: a model that is being served is no garbage (Nix's ``findRuntimeRoots``).

Looked at are the links, open files, mappings and environments of the processes that this user may look into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Root

_PROCESSES = Path("/proc")
# By its real or its logical name. An object of the same name in another store is kept here too.
_OBJECT = re.compile(rb"/nix/store/([0-9a-z]{32}-[0-9A-Za-z+._?=-]{1,211})")


def find() -> Iterator[Root]:
    """The objects that processes name, valid or not, each once for each place; none without ``/proc``."""
    for process in _entries(_PROCESSES):
        if process.name.isdecimal():
            for file in (process / "maps", process / "environ"):
                yield from _roots(_contents(file), file)
            for link in (process / "exe", process / "cwd", *_entries(process / "fd")):
                yield from _roots(_target(link), link)


def _roots(text: bytes, place: Path) -> Iterator[Root]:
    for base_name in sorted(set(_OBJECT.findall(text))):
        try:
            store_path = StorePath.parse_base_name(base_name.decode("ascii"))
        except FormatError:
            continue
        yield Root(store_path=store_path, declared_at=str(place), owner=None)


# A process may end at any moment, and those of others are closed to us.


def _entries(directory: Path) -> tuple[Path, ...]:
    try:
        return tuple(directory.iterdir())
    except OSError:
        return ()


def _contents(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _target(link: Path) -> bytes:
    try:
        return os.fsencode(link.readlink())
    except OSError:
        return b""
