"""A new database from the objects of the store: for a database that is damaged or lost.

Every object is hashed. What proves itself by its path is registered; what does not is registered only if the old
database can still be read there and has the same NAR hash. Nothing in the store directory is changed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded import opening
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import LINKS, StoreLayout
from hf_pack.disk.locks import open_lock, try_lock
from hf_pack.disk.nar_on_disk import NarOnDisk
from hf_pack.disk.proving import proved
from hf_pack.disk.staging import names_in
from hf_pack.errors import StoreError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Problem, Rebuilt
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Progress
from hf_pack.side_by_side import all_side_by_side

_LOGS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class _Found:
    store_path: StorePath
    info: PathInfo | None
    nar_hash: Hash | None
    problem: str = ""


def rebuild(layout: StoreLayout, progress: Progress) -> Rebuilt:
    """Make the database anew; the old one is kept beside it. Raises StoreError while another process has it open."""
    if not layout.store_dir.is_dir():
        raise StoreError(f"there is no store\n  at {layout.root}", hint="give the store's directory to --store")
    for directory in layout.directories:
        directory.mkdir(parents=True, exist_ok=True)
    with _alone(layout):
        witness = _old_rows(layout)
        found = _look_at_all(layout, progress)
        infos, problems = _believed(found, witness)
        fresh = _write(infos, layout)
        kept = _swap(fresh, layout)
    return Rebuilt(registered=tuple(infos), unproved=tuple(problems), old_database=None if kept is None else str(kept))


@contextmanager
def _alone(layout: StoreLayout) -> Iterator[None]:
    """Nix, and we, hold the big lock shared while a store is open."""
    descriptor = open_lock(layout.database_dir / "big-lock")
    try:
        if not try_lock(descriptor, exclusive=True):
            raise StoreError(
                f"another process has the store open\n  {layout.database_dir / 'big-lock'}: locked",
                hint="try again when builds and Nix are done with this store",
            )
        yield
    finally:
        os.close(descriptor)


def _look_at_all(layout: StoreLayout, progress: Progress) -> list[_Found]:
    paths = {}
    for name in sorted(names_in(layout.store_dir)):
        if name != LINKS and not name.endswith((".lock", ".chroot")):
            with suppress(FormatError):
                paths[name] = StorePath.parse_base_name(name)
    neighbours = {path.digest: path for path in paths.values()}
    progress.start("proving", sum(map(_size, map(layout.real_path, paths.values()))))
    jobs = [partial(_look_at, layout.real_path(path), path, neighbours, progress) for path in paths.values()]
    found = all_side_by_side(jobs, os.cpu_count() or 1)
    progress.finish()
    return found


def _size(real_path: Path) -> int:
    with suppress(OSError, FormatError):
        return NarOnDisk(real_path).size
    return 0


def _look_at(real_path: Path, store_path: StorePath, neighbours: Mapping[str, StorePath], progress: Progress) -> _Found:
    try:
        info, nar_hash = proved(real_path, store_path, neighbours, progress.advance)
    except (OSError, FormatError) as error:
        return _Found(store_path, None, None, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    return _Found(store_path, info, nar_hash)


def _believed(found: Iterable[_Found], witness: Mapping[StorePath, PathInfo]) -> tuple[list[PathInfo], list[Problem]]:
    """What is valid: proved by itself or by the old database, and everything it refers to is valid too."""
    infos: dict[StorePath, PathInfo] = {}
    problems: list[Problem] = []
    for item in found:
        recorded = witness.get(item.store_path)
        if item.info is not None:
            infos[item.store_path] = item.info if recorded is None else _with_history(item.info, recorded)
        elif recorded is not None and recorded.nar_hash == item.nar_hash:
            infos[item.store_path] = recorded
        else:
            reason = item.problem or "its path does not follow from its content, and nothing else vouches for it"
            problems.append(Problem(store_path=item.store_path, path="", problem=reason))
    while dangling := [info for info in infos.values() if any(other not in infos for other in info.references)]:
        for info in dangling:
            missing = next(other for other in info.references if other not in infos)
            problems.append(
                Problem(store_path=info.store_path, path="", problem=f"it refers to {missing}, which is not valid")
            )
            del infos[info.store_path]
    return list(infos.values()), sorted(problems)


def _with_history(proven: PathInfo, recorded: PathInfo) -> PathInfo:
    """What no byte of the object tells: since when it is here, and who signed it, if that was this object."""
    signatures = recorded.signatures if recorded.nar_hash == proven.nar_hash else ()
    return replace(proven, registration_time=recorded.registration_time, signatures=signatures)


def _old_rows(layout: StoreLayout) -> dict[StorePath, PathInfo]:
    """What can still be read of the old database: all of it, some rows, or nothing."""
    rows: dict[StorePath, PathInfo] = {}
    if not layout.database.is_file():
        return rows
    with tempfile.TemporaryDirectory(prefix="hf-pack-db-") as folder:
        copy = Path(folder) / layout.database.name
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{layout.database}{suffix}", f"{copy}{suffix}")
        with suppress(sqlite3.Error), closing(opening.connect(copy.as_uri())) as connection:
            query = "select path, hash, registrationTime, narSize, ca, sigs from ValidPaths"
            for path, nar_hash, time, nar_size, address, signatures in connection.execute(query):
                with suppress(FormatError, TypeError, AttributeError):
                    store_path = StorePath.parse(path)
                    rows[store_path] = PathInfo(
                        store_path=store_path,
                        nar_hash=Hash.parse(nar_hash),
                        nar_size=int(nar_size),
                        content_address=address,
                        registration_time=int(time),
                        signatures=tuple((signatures or "").split()),
                        references=tuple(_old_references(connection, path)),
                    )
    return rows


def _old_references(connection: sqlite3.Connection, path: str) -> Iterator[StorePath]:
    query = (
        "select other.path from Refs join ValidPaths as own on own.id = referrer"
        " join ValidPaths as other on other.id = reference where own.path = ? order by other.path"
    )
    for (text,) in connection.execute(query, (path,)):
        yield StorePath.parse(text)


def _write(infos: list[PathInfo], layout: StoreLayout) -> Path:
    """A whole database in staging, on disk, with no log beside it."""
    folder = Path(tempfile.mkdtemp(prefix="rebuild-", dir=layout.staging))
    beside = StoreLayout(folder)
    opening.create(beside)
    database = Database(beside)
    database.register(infos)
    database.close()
    with closing(opening.connect(beside.database.as_uri())) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    durable.sync(beside.database)
    return folder


def _swap(fresh: Path, layout: StoreLayout) -> Path | None:
    """Old aside, new in its place. A log must never meet a database that is not its own: it goes first."""
    kept = None
    if layout.database.exists():
        kept = _free_name(layout.database.with_name("db.sqlite.damaged"))
        os.link(layout.database, kept)
    for suffix in _LOGS:
        log = Path(f"{layout.database}{suffix}")
        if log.exists():
            log.rename(f"{kept}{suffix}") if kept is not None else log.unlink()
    durable.sync(layout.database_dir)
    StoreLayout(fresh).database.replace(layout.database)
    if not layout.schema.exists() or layout.schema.read_bytes().strip() != b"%d" % opening.SCHEMA:
        StoreLayout(fresh).schema.replace(layout.schema)
    durable.sync(layout.database_dir)
    shutil.rmtree(fresh, ignore_errors=True)
    return kept


def _free_name(path: Path) -> Path:
    candidates = (path if number == 0 else path.with_name(f"{path.name}.{number}") for number in range(10_000))
    return next(candidate for candidate in candidates if not os.path.lexists(candidate))
