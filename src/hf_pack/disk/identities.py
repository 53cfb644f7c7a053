"""Which files were hashed before: what makes a second look at 60 GB of weights take no time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from hf_pack.disk.memory_file import attempt
from hf_pack.formats.hashes import Hash, HashAlgorithm

_QUIET_NS = 2_000_000_000
_MOST_ENTRIES = 100_000

_TABLE = """create table if not exists Files (
  sequence integer primary key autoincrement, device text not null, inode text not null, size integer not null,
  modified integer not null, changed integer not null, sha256 blob not null, unique (device, inode)
)"""


class Identities:
    """The sha256 of files by their identity: device, inode, size, mtime and ctime, both in nanoseconds.

    Time stamps have a grain (a tick of the kernel's clock, two seconds on FAT), so that a file which is
    changed twice within a grain, to the same size, looks the same after both; hashed in between, it would
    have the wrong hash for ever (git calls this "racy"). A hash is therefore remembered only when the file
    had been quiet for two seconds before it was hashed: whatever changes it later also changes its ctime,
    which no program can set. A file that lies on another machine whose clock is slow by seconds, or that
    is written through a mapping, can still deceive; ``verify`` does not ask here.

    The file is a cache, safe to use by many processes and to delete. One that is damaged is made anew, and
    one that cannot be read or written knows nothing; no method raises for either. It keeps the latest
    100,000 entries.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, path: Path) -> Hash | None:
        """Return the sha256 that the file (links followed) must still have, None when that is not known."""
        try:
            status = path.stat()
        except OSError:
            return None

        def query(connection: sqlite3.Connection) -> Hash | None:
            row = connection.execute(
                "select sha256 from Files where device = ? and inode = ? and size = ? and modified = ? and changed = ?",
                _identity(status),
            ).fetchone()
            return None if row is None else Hash(HashAlgorithm.SHA256, bytes(row[0]))

        return attempt(self._path, _TABLE, query)

    def remember(self, path: Path, before: os.stat_result, hashed_at_ns: int, sha256: Hash) -> None:
        """Record that ``path``, as ``before`` describes it, has this hash; see :meth:`remember_all`."""
        self.remember_all([(path, before, sha256)], hashed_at_ns)

    def remember_all(self, files: Iterable[tuple[Path, os.stat_result, Hash]], hashed_at_ns: int) -> None:
        """Record the hash of each file, as the status that was taken before describes it.

        It was taken before the first byte was read, and ``hashed_at_ns`` (nanoseconds since the epoch, as
        ``time.time_ns``) before that of any. Nothing is recorded for a file that was not quiet then or that is
        another one now.
        """
        rows = []
        for path, before, sha256 in files:
            if hashed_at_ns - max(before.st_mtime_ns, before.st_ctime_ns) < _QUIET_NS:
                continue
            try:
                if _identity(path.stat()) == _identity(before):
                    rows.append((*_identity(before), sha256.digest))
            except OSError:
                continue

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    "insert or replace into Files (device, inode, size, modified, changed, sha256)"
                    " values (?, ?, ?, ?, ?, ?)",
                    rows,
                )
                connection.execute(
                    "delete from Files where sequence <= (select max(sequence) from Files) - ?",
                    (_MOST_ENTRIES,),
                )

        if rows:
            attempt(self._path, _TABLE, insert)


def _identity(status: os.stat_result) -> tuple[str, str, int, int, int]:
    # Device and inode numbers are unsigned 64-bit, which SQLite's integers are not.
    return str(status.st_dev), str(status.st_ino), status.st_size, status.st_mtime_ns, status.st_ctime_ns
