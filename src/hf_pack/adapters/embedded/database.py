"""The store's database: valid paths and their references, in Nix's schema 10 (Nix's ``schema.sql``)."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hf_pack.adapters.embedded import opening
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.locks import open_lock
from hf_pack.errors import StoreError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.model.path_info import PathInfo

_VALUES = 500  # of one query; every SQLite takes 999
_COLUMNS = "id, path, hash, narSize, ca, registrationTime, sigs"
_Row = tuple[int, str, str, int | None, str | None, int, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All valid paths by base name: what each refers to, and the deriver that it keeps alive."""

    needs: dict[str, tuple[str, ...]]

    def closure(self, start: Iterable[str]) -> set[str]:
        """The valid paths among ``start`` and everything that they need."""
        found: set[str] = set()
        rest = [name for name in start if name in self.needs]
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest.extend(self.needs[name])
        return found


class Database:
    """Open while the store is; threads take turns.

    A store that is not there is empty until something is written. One that this process may not write is read
    with a new connection each time, because such a connection cannot see what others write meanwhile.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._big_lock: int | None = None

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._big_lock is not None:
                os.close(self._big_lock)
                self._big_lock = None

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return opening.exists(self._layout)

    @property
    def writable(self) -> bool:
        """Whether this process may write the store that is there."""
        return all(
            os.access(path, os.W_OK)
            for path in (self._layout.database, self._layout.database_dir, self._layout.state_dir)
        )

    def info(self, store_path: StorePath) -> PathInfo | None:
        """What is known of a path, None when it is not valid."""
        with self._reading() as connection:
            query = f"select {_COLUMNS} from ValidPaths where path = ?"
            row = connection.execute(query, (str(store_path),)).fetchone() if connection else None
            return _info(row, _references(connection, row[0])) if connection and row else None

    def all_infos(self) -> tuple[PathInfo, ...]:
        """What is known of every valid path, sorted."""
        with self._reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(f"select {_COLUMNS} from ValidPaths order by path").fetchall()
            edges = self._edges(connection, rows)
        infos = {row[0]: _info(row, ()) for row in rows}
        references: dict[int, list[StorePath]] = {identity: [] for identity in infos}
        for referrer, reference in edges:
            references[referrer].append(infos[reference].store_path)
        return tuple(replace(info, references=tuple(sorted(references[identity]))) for identity, info in infos.items())

    def named(self, name: str) -> tuple[StorePath, ...]:
        """The valid paths of this name, sorted."""
        with self._reading() as connection:
            if connection is None:
                return ()
            # A digest has 32 characters: the name begins behind it and a dash.
            prefix = len(f"{STORE_DIR}/") + 33
            rows = connection.execute(
                "select path from ValidPaths where substr(path, ?) = ? order by path", (prefix + 1, name)
            )
            return tuple(StorePath.parse(row[0]) for row in rows)

    def with_digest(self, digest: str) -> StorePath | None:
        """The valid path that begins with this digest."""
        with self._reading() as connection:
            if connection is None:
                return None
            first = f"{STORE_DIR}/{digest}-"
            query = "select path from ValidPaths where path >= ? order by path limit 1"
            row = connection.execute(query, (first,)).fetchone()
            return StorePath.parse(row[0]) if row is not None and row[0].startswith(first) else None

    def valid(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        """Which of these paths are valid."""
        wanted = {str(path): path for path in among}
        return frozenset(wanted[row[1]] for row in self._rows("path", wanted))

    def facts(self, among: Iterable[StorePath]) -> dict[StorePath, PathInfo]:
        """What is known of those of these paths that are valid, but for their references."""
        found = (_info(row, ()) for row in self._rows("path", map(str, among)))
        return {info.store_path: info for info in found}

    def with_content_address(self, among: Iterable[str]) -> tuple[PathInfo, ...]:
        """The valid paths whose content address is one of these, but for their references, sorted.

        Nix's schema has no index for this: every row is read.
        """
        return tuple(sorted((_info(row, ()) for row in self._rows("ca", among)), key=lambda info: info.store_path))

    def graph(self) -> Graph:
        """All valid paths and what each needs."""
        with self._reading() as connection:
            if connection is None:
                return Graph(needs={})
            rows = connection.execute("select id, path, deriver from ValidPaths").fetchall()
            edges = self._edges(connection, rows)
        names = {row[0]: _base_name(row[1]) for row in rows}
        needs: dict[str, list[str]] = {name: [] for name in names.values()}
        for referrer, reference in edges:
            needs[names[referrer]].append(names[reference])
        for identity, _path, deriver in rows:
            # Nix's setting keep-derivations, which is on unless somebody turns it off.
            if deriver and _base_name(deriver) in needs:
                needs[names[identity]].append(_base_name(deriver))
        return Graph(needs={name: tuple(needed) for name, needed in needs.items()})

    def _edges(self, connection: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> list[tuple[int, int]]:
        """All references, by the rows' first column. Raises StoreError when one is of what is not there."""
        known = {row[0] for row in rows}
        edges = connection.execute("select referrer, reference from Refs").fetchall()
        if any(referrer not in known or reference not in known for referrer, reference in edges):
            raise StoreError(
                f"the database is damaged: a reference leads nowhere\n  at {self._layout.database}",
                hint=opening.REPAIR,
            )
        return edges

    def register(self, infos: Sequence[PathInfo]) -> None:
        """Make objects that are in place valid, all or none; one that was valid already gets these facts.

        Raises StoreError when a reference is not valid.
        """
        with self.writing() as connection:
            for info in infos:
                connection.execute(
                    "insert into ValidPaths (path, hash, registrationTime, narSize, ca, sigs) values (?, ?, ?, ?, ?, ?)"
                    " on conflict (path) do update set hash = excluded.hash, narSize = excluded.narSize,"
                    " ca = excluded.ca, sigs = coalesce(excluded.sigs, sigs)",
                    (
                        str(info.store_path), info.nar_hash.hex_text(), info.registration_time or int(time.time()),
                        info.nar_size, info.content_address, " ".join(info.signatures) or None,
                    ),
                )  # fmt: skip
            for info in infos:
                identity = _identity(connection, info.store_path)
                for reference in info.references:
                    if (needed := _identity(connection, reference)) is None:
                        raise StoreError(
                            f"{info.store_path} refers to what is not in the store\n  {reference}",
                            hint="build the package again",
                        )
                    connection.execute("insert or ignore into Refs values (?, ?)", (identity, needed))

    def invalidate(self, base_names: Sequence[str]) -> tuple[str, ...]:
        """Make paths invalid in this order; returns those that are. One that a valid path refers to stays."""
        gone = []
        with self.writing() as connection:
            for name in base_names:
                path = f"{STORE_DIR}/{name}"
                query = (
                    "select 1 from Refs where reference = (select id from ValidPaths where path = ?)"
                    " and referrer != reference limit 1"
                )
                if connection.execute(query, (path,)).fetchone() is None:
                    connection.execute("delete from ValidPaths where path = ?", (path,))
                    gone.append(name)
        return tuple(gone)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction of a writer; makes the store when it is not there."""
        with self._turn:
            connection = self._open_for_writing()
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                _roll_back(connection)
                raise

    def create(self) -> None:
        """Make the store when it is not there, and open it for writing."""
        with self._turn:
            self._open_for_writing()

    def _rows(self, column: str, values: Iterable[str]) -> list[_Row]:
        """The rows whose ``column`` has one of these values."""
        wanted = list(dict.fromkeys(values))
        found: list[_Row] = []
        if not wanted:
            return found
        with self._reading() as connection:
            for start in range(0, len(wanted) if connection else 0, _VALUES):
                part = wanted[start : start + _VALUES]
                query = f"select {_COLUMNS} from ValidPaths where {column} in ({','.join('?' * len(part))})"
                assert connection is not None
                found += connection.execute(query, part).fetchall()
        return found

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One state of the database for all queries of the block; None without a store."""
        with self._turn:
            if self._connection is None and not self.exists:
                yield None
            elif self._connection is not None or self.writable:
                with _snapshot(self._open_for_writing()) as connection:
                    yield connection
            else:
                with opening.read_only(self._layout.database) as fresh, _snapshot(fresh) as connection:
                    yield connection

    def _open_for_writing(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        layout = self._layout
        if not self.exists:
            opening.create(layout)
        # Held while the store is open: whoever changes the schema waits for us.
        self._big_lock = open_lock(layout.database_dir / "big-lock")
        fcntl.flock(self._big_lock, fcntl.LOCK_SH)
        self._connection = opening.connect(f"{layout.database.as_uri()}?mode=rw")
        self._connection.execute("pragma foreign_keys = 1")
        self._connection.execute("pragma synchronous = full")
        return self._connection


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("begin")
    try:
        yield connection
    finally:
        _roll_back(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite ends it by itself on a full disk, say
        connection.execute("rollback")


def _references(connection: sqlite3.Connection, identity: int) -> list[StorePath]:
    query = "select path from Refs join ValidPaths on reference = id where referrer = ?"
    return [StorePath.parse(path) for (path,) in connection.execute(query, (identity,))]


def _identity(connection: sqlite3.Connection, store_path: StorePath) -> int | None:
    row = connection.execute("select id from ValidPaths where path = ?", (str(store_path),)).fetchone()
    return row[0] if row else None


def _info(row: _Row, references: Iterable[StorePath]) -> PathInfo:
    _id, path, nar_hash, nar_size, content_address, registration_time, signatures = row
    try:
        return PathInfo(
            store_path=StorePath.parse(path),
            nar_hash=Hash.parse(nar_hash),
            nar_size=nar_size or 0,
            references=tuple(sorted(references)),
            content_address=content_address or None,
            registration_time=registration_time,
            signatures=tuple((signatures or "").split()),
        )
    except FormatError as error:
        raise StoreError(f"the store's database holds a bad row\n  {path!r}: {error}") from error


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
