"""Paths as people write them, in options, variables and files."""

from __future__ import annotations

from pathlib import Path

from hf_pack.errors import UsageError


def user_path(text: str) -> Path:
    """The path, a home directory in place of ``~`` or ``~user``. Raises UsageError where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{text}: there is no such user, or no home", hint="name the path from / on") from None
