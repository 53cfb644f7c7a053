"""Relative paths inside a package or a workspace: ``/`` between parts, never out of the directory."""

from __future__ import annotations

_MAX_PART = 255  #: bytes; what file systems take for one name


def problem_of(path: str) -> str | None:
    """What is wrong with a relative path, as the end of a sentence; None for a good one.

    Good is: not empty, no leading ``/``, no empty part, no ``.`` or ``..``, no NUL, a part 255 bytes at most.
    """
    if not path:
        return "it is empty"
    if path.startswith("/"):
        return "it is absolute"
    if "\0" in path:
        return "it holds a NUL"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"it has the part {part!r}"
        if len(part.encode(errors="surrogateescape")) > _MAX_PART:
            return f"a part is longer than {_MAX_PART} bytes"
    return None


def check(path: str) -> str:
    """The path itself. Raises ValueError for one that :func:`problem_of` finds fault with."""
    problem = problem_of(path)
    if problem is not None:
        raise ValueError(f"{path!r} is not a relative path inside the directory: {problem}")
    return path
