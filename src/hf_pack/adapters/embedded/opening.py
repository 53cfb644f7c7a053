"""Opening and making a store: what may lie at its root, and how its database is reached."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hf_pack.adapters.embedded.layout import LINKS, StoreLayout
from hf_pack.disk.locks import locked
from hf_pack.disk.staging import names_in
from hf_pack.errors import StoreError

SCHEMA = 10  #: the number of Nix's database schema that this tool reads and writes
REPAIR = "hf-pack store repair, which proves every object again"
BUSY_SECONDS = 60  #: how long Nix and we wait for another writer

_TABLES = (
    """create table if not exists ValidPaths (
        id integer primary key autoincrement not null, path text unique not null, hash text not null,
        registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text, ca text)""",
    """create table if not exists Refs (
        referrer integer not null, reference integer not null, primary key (referrer, reference),
        foreign key (referrer) references ValidPaths(id) on delete cascade,
        foreign key (reference) references ValidPaths(id) on delete restrict)""",
    "create index if not exists IndexReferrer on Refs(referrer)",
    "create index if not exists IndexReference on Refs(reference)",
    """create trigger if not exists DeleteSelfRefs before delete on ValidPaths begin
        delete from Refs where referrer = old.id and reference = old.id; end""",
    """create table if not exists DerivationOutputs (
        drv integer not null, id text not null, path text not null, primary key (drv, id),
        foreign key (drv) references ValidPaths(id) on delete cascade)""",
    "create index if not exists IndexDerivationOutputs on DerivationOutputs(path)",
)

#: What a fresh file system or a store has at its top.
_HARMLESS = frozenset({"nix", "lost+found"})


def exists(layout: StoreLayout) -> bool:
    """Whether a store of our schema lies there. Raises StoreError for anything else than that or nothing."""
    try:
        schema = layout.schema.read_bytes().strip()
    except (FileNotFoundError, NotADirectoryError):
        schema = b""
    if not schema:
        _require_room(layout)
        return False
    if schema != b"%d" % SCHEMA:
        newer = schema.isdigit() and int(schema) > SCHEMA
        raise StoreError(
            "a store that this version does not read\n"
            f"  {layout.schema}: expected schema {SCHEMA}, found {schema[:20].decode(errors='replace')!r}",
            hint="use a newer hf-pack" if newer else f"let Nix upgrade it: nix-store --store {layout.root} --verify",
        )
    if not layout.database.is_file():
        raise StoreError(f"a store without its database\n  missing: {layout.database}", hint=REPAIR)
    return True


def create(layout: StoreLayout) -> None:
    """Make an empty store; several processes may do so at once, Nix among them."""
    for directory in layout.directories:
        directory.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(profiles := layout.gc_roots / "profiles"):
        _symlink(str(layout.profiles), profiles)
    with locked(layout.own_dir / "create.lock", exclusive=True):
        if exists(layout):
            return
        with closing(connect(f"{layout.database.as_uri()}?mode=rwc")) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("begin immediate")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("commit")
        fresh = layout.schema.with_name(f"schema.{os.getpid()}")
        fresh.write_bytes(b"%d" % SCHEMA)
        fresh.replace(layout.schema)


def connect(uri: str) -> sqlite3.Connection:
    """A connection that the threads of a process may use in turn, with explicit transactions."""
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


@contextmanager
def read_only(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a database whose directory this process cannot write."""
    with closing(connect(f"{database.as_uri()}?mode=ro")) as connection:
        if _readable(connection):
            yield connection
            return
    log = database.with_name(database.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        # SQLite wants to make its shared memory beside a database with a log; nobody has this one open.
        with closing(connect(f"{database.as_uri()}?mode=ro&immutable=1")) as connection:
            yield connection
        return
    import shutil
    import tempfile  # for a store that cannot be written: both are slow to import

    with tempfile.TemporaryDirectory(prefix="hf-pack-db-") as folder:
        # A writer was killed and left its log, and we may not replay it in place.
        for file in (database, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(connect((Path(folder) / database.name).as_uri())) as connection:
            yield connection


def _readable(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("select 1 from ValidPaths limit 1").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def _require_room(layout: StoreLayout) -> None:
    """Refuse a root that holds something else than a store."""
    try:
        top = names_in(layout.root)
    except NotADirectoryError:
        raise StoreError(
            f"not a store: {layout.root} is a file or lies below one", hint="give a directory to --store"
        ) from None
    if strange := sorted(top - _HARMLESS):
        raise StoreError(
            f"not a store, and not empty: {layout.root}\n  it holds {strange[0]!r}",
            hint="give an empty or a new directory to --store",
        )
    objects = sorted(names_in(layout.store_dir) - {LINKS})
    if objects and not layout.database.exists():
        raise StoreError(
            f"a store directory without a database\n  {layout.store_dir} holds {objects[0]!r}",
            hint=REPAIR,
        )


def _symlink(target: str, link: Path) -> None:
    try:
        link.symlink_to(target)
    except FileExistsError:
        return
