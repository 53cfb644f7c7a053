"""What the operating system and SQLite refuse, said as :class:`StoreError`."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack.errors import Error, StoreError

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

_ANOTHER = "choose another store with --store"
_HINTS = {
    errno.EACCES: f"run it as the owner of the store, or {_ANOTHER}",
    errno.EPERM: f"run it as the owner of the store, or {_ANOTHER}",
    errno.EROFS: f"the file system is mounted read-only: {_ANOTHER}",
    errno.ENOSPC: f"free some space (`hf-pack gc` deletes what no package needs), or {_ANOTHER}",
    errno.EDQUOT: f"the quota is used up: free some space (`hf-pack gc`), or {_ANOTHER}",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
}


@contextmanager
def refusing(action: str, root: Path) -> Iterator[None]:
    """Turn OSError and sqlite3.Error into StoreError; ``action`` goes on after "cannot"."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise refusal(action, root, error) from error
    except sqlite3.Error as error:
        raise _database_refusal(action, root, error) from error


def refusal(action: str, root: Path, error: OSError) -> StoreError:
    """The StoreError for an OSError."""
    # Of two paths the second is the one to be made; the first of a symbolic link is but its text.
    named = error.filename2 or error.filename
    place = os.fsdecode(named) if isinstance(named, str | bytes) else str(root)
    # What is wrong with a file outside the store, and not above it, is not mended by another store.
    is_ours = Path(place).is_relative_to(root) or root.is_relative_to(place)
    hint = _HINTS.get(error.errno or 0, "") if is_ours else ""
    return StoreError(f"cannot {action}: {error.strerror or error}\n  at {place}", hint=hint)


def out_of_space(*, needed: int, free: int, place: Path) -> StoreError:
    """There is less room than the objects need; both in bytes."""
    return StoreError(f"the store needs {needed:,} bytes, {free:,} are free\n  at {place}", hint=_HINTS[errno.ENOSPC])


def ran_out(error: OSError, *, needed: int, place: Path) -> bool:
    """Whether the error says that ``needed`` bytes (more) do not find room at ``place``. With room for them it is
    something else that ran out: a quota, or the number of files."""
    return error.errno in OUT_OF_SPACE and needed > free_bytes(place)


def existing(place: Path) -> Path:
    """It, or the directory that it will be made in."""
    return next(path for path in (place, *place.parents) if path.exists())


def free_bytes(place: Path) -> int:
    """Bytes of disk that this user may still fill."""
    status = os.statvfs(place)
    return status.f_frsize * (status.f_bfree if os.geteuid() == 0 else status.f_bavail)


def _database_refusal(action: str, root: Path, error: sqlite3.Error) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or ""
    hint = ""
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        hint = _HINTS[errno.EACCES]
    elif name.startswith("SQLITE_FULL"):
        hint = _HINTS[errno.ENOSPC]
    elif name.startswith("SQLITE_IOERR"):
        hint = f"the disk refused it: look for a full quota, a read-only file system, its errors (dmesg), or {_ANOTHER}"
    elif name.startswith("SQLITE_BUSY"):
        hint = "another process holds the store's database: try again when it is done"
    elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        hint = "hf-pack store repair, which makes the database anew from the objects"
    return StoreError(f"cannot {action}: database: {error}\n  at {root}/nix/var/nix/db/db.sqlite", hint=hint)
