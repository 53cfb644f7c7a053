"""Which file paths may be packaged, and which files are bookkeeping that no package ever holds.

The rules hold for every source alike (Hub, cache, directory), so that all of them give one package.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from hf_pack.model import relative_path

CASE_HACK = "~nix~case~hack~"
"""Nix on macOS cuts a file name off here when it unpacks and packs, so no such name survives."""

_BOOKKEEPING_PARTS = frozenset({
    ".git", ".cache", ".locks", ".no_exist", ".huggingface", ".msc", ".mdl", ".mv", ".____temp", "._____temp",
    ".ipynb_checkpoints", "__pycache__", ".DS_Store", "CACHEDIR.TAG", "Thumbs.db", "desktop.ini", "__MACOSX",
    ".idea", ".vscode", ".Trash-1000", "lost+found",
})  # fmt: skip
_BOOKKEEPING_NAME = re.compile(r".*\.(?:lock|swp)|\._.*|\.nfs[0-9a-f]+|.*~")
_DRIVE = re.compile(r"[A-Za-z]:")


def is_bookkeeping(path: str) -> bool:
    """Whether a tool keeps this for itself (git, the Hub's client, ModelScope, editors): never packaged.

    ``trees/`` counts only at the top, where the Hub's client puts it.
    """
    parts = path.split("/")
    return (
        not _BOOKKEEPING_PARTS.isdisjoint(parts)
        or (parts[0] == "trees" and len(parts) == 2 and path.endswith(".json"))
        or _BOOKKEEPING_NAME.fullmatch(parts[-1]) is not None
    )


def path_problem(path: str) -> str | None:
    """Why a path (``/`` between parts) cannot be packaged, None where it can.

    What the Hub's client refuses (absolute, drive, ``..``, backslash), and what would not come back the same
    from a NAR, a shell or another file system.
    """
    problem = "it starts with a drive" if _DRIVE.match(path) else relative_path.problem_of(path)
    if problem is not None:
        return f"expected a relative path with usable names, but {problem}"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in path):
        return "expected a name without control characters"
    if not path.isprintable() and any("\ud800" <= character <= "\udfff" for character in path):
        return "expected a name in UTF-8, found other bytes"
    if "\\" in path:
        return "expected a name without backslashes"
    if CASE_HACK in path:
        return f"expected a name without {CASE_HACK!r}, which Nix cuts off on macOS"
    return None


def shown(path: str) -> str:
    """The path as it may stand in a message: what is no printable text is escaped."""
    return path if path.isprintable() else ascii(path)[1:-1]


def colliding(paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of paths, and of their directories, that no case-insensitive file system holds side by side."""
    spellings: dict[str, set[str]] = {}
    for path in paths:
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            prefix = "/".join(parts[:end])
            spellings.setdefault(_folded(prefix), set()).add(prefix)
    return tuple(sorted(tuple(sorted(group)) for group in spellings.values() if len(group) > 1))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
