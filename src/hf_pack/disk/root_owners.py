"""Folders of roots: links to what is kept, and ``owner``, a link to the file or link that they live as long as."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

OWNER = "owner"
_RESULT = "result"  #: links of this name (or ``result-…``) own a path only while they point to it


def folders_in(directory: Path) -> tuple[Path, ...]:
    """The folders of a directory, sorted; none where there is no such directory."""
    try:
        return tuple(sorted(path for path in directory.iterdir() if path.is_dir()))
    except FileNotFoundError:
        return ()


def is_alive(folder: Path, holds: Callable[[Path, str], bool]) -> bool:
    """Whether a folder's owner is there; a ``result-…`` link must also still point to a path that the folder keeps.

    ``holds`` answers that for the owner and its target, made absolute.
    """
    try:
        owner = (folder / OWNER).readlink()
    except FileNotFoundError:
        return False  # left by a process that was killed as it made or removed it
    if not os.path.lexists(owner):
        return False
    if not owner.is_symlink() or owner.name.split("-")[0] != _RESULT:
        return True
    return holds(owner, os.path.normpath(owner.parent / owner.readlink()))
