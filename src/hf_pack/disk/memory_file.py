"""A SQLite file that saves work and nothing else: safe for many processes to use, and safe to delete."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

_BUSY_TIMEOUT = 5.0  # seconds

# What another process, a full disk or missing rights cause; any other error is in the file itself.
_PASSING_ERRORS = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
)

_T = TypeVar("_T")


def attempt(path: Path, table: str, action: Callable[[sqlite3.Connection], _T]) -> _T | None:
    """Run ``action`` on the file at ``path``, in which ``table`` (a statement) makes what it needs.

    A file that is damaged is made anew, and ``action`` runs a second time. None when that fails too, and when the file
    cannot be read or written; nothing is raised for either.
    """
    for _ in range(2):
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT)) as connection:
                connection.execute(table)
                return action(connection)
        except (sqlite3.Error, TypeError, ValueError) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
            if code & 0xFF in _PASSING_ERRORS:
                return None
        try:
            path.unlink(missing_ok=True)
            path.with_name(path.name + "-journal").unlink(missing_ok=True)
        except OSError:
            return None
    return None
