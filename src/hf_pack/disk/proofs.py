"""Which objects were proved before, and when: what lets a second look at a terabyte read what changed alone."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sqlite3
import stat
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_pack.disk.memory_file import attempt
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_content_address
from hf_pack.model.path_info import PathInfo

_QUIET_NS = 2_000_000_000
_MOST_ENTRIES = 1_000_000
_VALUES = 500  # of one query; every SQLite takes 999

_TABLE = """create table if not exists Proofs (
  sequence integer primary key autoincrement, name text unique not null, claim text not null, identity blob not null,
  proved_at integer not null
)"""

# Linux's FS_IOC_MEASURE_VERITY: _IOWR('f', 134, struct fsverity_digest), two 16-bit numbers before the digest.
_MEASURE_VERITY = 0xC0046686
_LONGEST_DIGEST = 64
_NO_VERITY = frozenset(
    {errno.ENODATA, errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EACCES, errno.EPERM}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is to be proved of an object: that at ``real_path`` lies what the store recorded."""

    real_path: Path
    info: PathInfo
    sha256: Hash | None = None  #: that of the file's bytes, when somebody knows it from elsewhere

    @property
    def text(self) -> str:
        """The same for the same claim; a proof of another one is none."""
        info = self.info
        parts = [info.nar_hash.sri(), info.content_address or "-", *map(str, info.references)]
        # A flat content address says the same.
        if self.sha256 is not None and info.content_address != flat_content_address(self.sha256):
            parts.append(self.sha256.hex_text())
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an object's files are by their status: device, inode, size, mtime and ctime of each, or its fs-verity digest
    where the file system has one; names, links and who may execute.

    Whatever changes a file's bytes changes its ctime, which no program can set; fs-verity's digest is of the bytes, and
    the kernel lets nobody change them. A new hard link to a file changes its ctime too: that costs one read.
    """

    digest: bytes
    changed_ns: int  #: the latest mtime or ctime of a file without fs-verity, in nanoseconds since the epoch


class Proofs:
    """The objects that were read in full and found right, by identity, with the time of that.

    The file is a memory, safe to use by many processes and to delete: what is not known is read once more. A proof is
    kept only when the object had been quiet for two seconds before (see :class:`hf_pack.disk.identities.Identities`).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, claims: Iterable[Claim]) -> dict[StorePath, int]:
        """When each claim was proved (seconds since the epoch); one whose files changed since, or are gone, is left
        out."""
        by_name = {claim.info.store_path.base_name: claim for claim in claims}
        names = list(by_name)

        def query(connection: sqlite3.Connection) -> list[tuple[str, str, bytes, int]]:
            rows = []
            for start in range(0, len(names), _VALUES):
                part = names[start : start + _VALUES]
                marks = ",".join("?" * len(part))
                rows += connection.execute(
                    f"select name, claim, identity, proved_at from Proofs where name in ({marks})", part
                ).fetchall()
            return rows

        found = {}
        for name, text, identity, proved_at in attempt(self._path, _TABLE, query) or ():
            claim = by_name[name]
            now = identity_of(claim.real_path)
            if text == claim.text and now is not None and now.digest == identity and isinstance(proved_at, int):
                found[claim.info.store_path] = proved_at
        return found

    def record(self, claim: Claim, before: Identity | None, started_ns: int) -> None:
        """The claim was proved. ``before`` is the object's identity before the first byte was read, and ``started_ns``
        (nanoseconds since the epoch) a moment before that."""
        if before is None or started_ns - before.changed_ns < _QUIET_NS or identity_of(claim.real_path) != before:
            self.forget(claim.info.store_path)
            return
        row = (claim.info.store_path.base_name, claim.text, before.digest, started_ns // 1_000_000_000)

        def insert(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute(
                    "insert or replace into Proofs (name, claim, identity, proved_at) values (?, ?, ?, ?)", row
                )
                connection.execute(
                    "delete from Proofs where sequence <= (select max(sequence) from Proofs) - ?", (_MOST_ENTRIES,)
                )

        attempt(self._path, _TABLE, insert)

    def forget(self, store_path: StorePath) -> None:
        """The object is not what it was."""

        def delete(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("delete from Proofs where name = ?", (store_path.base_name,))

        attempt(self._path, _TABLE, delete)


def identity_of(real_path: Path) -> Identity | None:
    """The object's identity now; None when it, or a part of it, cannot be looked at."""
    digest = hashlib.sha256()
    changed = 0
    try:
        for relative, path in _files(real_path, b""):
            status = os.lstat(path)
            facts: tuple[object, ...]
            if stat.S_ISREG(status.st_mode):
                executable = bool(status.st_mode & stat.S_IXUSR)
                if (verity := measure_verity(path)) is not None:
                    facts = ("verity", verity, status.st_size, executable)
                else:
                    changed = max(changed, status.st_mtime_ns, status.st_ctime_ns)
                    facts = ("file", status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
                             status.st_ctime_ns, executable)  # fmt: skip
            elif stat.S_ISLNK(status.st_mode):
                facts = ("link", os.readlink(path))  # noqa: PTH115 - in bytes
            else:
                facts = ("other", stat.S_IFMT(status.st_mode))
            digest.update(repr((relative, facts)).encode())
    except OSError:
        return None
    return Identity(digest=digest.digest(), changed_ns=changed)


def measure_verity(path: bytes) -> tuple[int, bytes] | None:
    """The file's fs-verity algorithm and digest (Linux's ``fsverity.rst``); None when it has none. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        return None
    try:
        answer = bytearray(struct.pack("=HH", 0, _LONGEST_DIGEST) + bytes(_LONGEST_DIGEST))
        fcntl.ioctl(file, _MEASURE_VERITY, answer)
    except OSError as error:
        if error.errno in _NO_VERITY:
            return None
        raise
    finally:
        os.close(file)
    algorithm, size = struct.unpack_from("=HH", answer)
    return algorithm, bytes(answer[4 : 4 + size])


def _files(path: Path, relative: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Everything in the object, itself first, each directory's entries sorted."""
    rest = [(relative, os.fsencode(path))]
    while rest:
        name, place = rest.pop()
        yield name, place
        if stat.S_ISDIR(os.lstat(place).st_mode):
            entries = sorted((entry.name for entry in os.scandir(place)), reverse=True)
            rest += [(name + b"/" + entry, place + b"/" + entry) for entry in entries]
