from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hf_pack.adapters.embedded import opening
from hf_pack.adapters.embedded.database import Database, Graph
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.refusals import refusing
from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, recursive_content_address
from hf_pack.model.path_info import PathInfo


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(StoreLayout.at(tmp_path / "root"))


def _info(number: int, *references: int) -> PathInfo:
    nar_hash = Hash.sha256_of(b"%d" % number)
    return PathInfo(
        store_path=_path(number),
        nar_hash=nar_hash,
        nar_size=number,
        references=tuple(sorted(map(_path, references))),
        content_address=recursive_content_address(nar_hash),
        registration_time=1_700_000_000 + number,
    )


def _path(number: int) -> StorePath:
    return StorePath(f"{number:032d}", f"object-{number}")


def test_what_is_registered_is_found(database: Database) -> None:
    infos = [_info(1), _info(2), _info(3, 1, 2, 3)]
    database.register(infos)
    assert [database.info(info.store_path) for info in infos] == infos
    assert database.info(_path(4)) is None
    assert database.all_infos() == tuple(infos)
    assert database.valid(map(_path, range(2000))) == {_path(1), _path(2), _path(3)}
    assert database.facts(map(_path, range(2000))) == {info.store_path: replace(info, references=()) for info in infos}
    addresses = [info.content_address or "" for info in (infos[1], infos[0], _info(4))]
    assert database.with_content_address(addresses) == (infos[0], infos[1])
    assert database.with_content_address([]) == ()


def test_references_may_be_registered_together_but_must_be_there(database: Database) -> None:
    database.register([_info(1, 2), _info(2)])
    with pytest.raises(StoreError, match=f"not in the store\n  {_path(9)}"):
        database.register([_info(3), _info(4, 9)])
    assert database.valid(map(_path, range(10))) == {_path(1), _path(2)}


def test_registering_again_keeps_referrers(database: Database) -> None:
    database.register([_info(1), _info(2, 1)])
    database.register([_info(1)])
    assert database.info(_path(2)) == _info(2, 1)


def test_what_others_refer_to_stays_valid(database: Database) -> None:
    database.register([_info(1), _info(2, 1), _info(3, 3)])
    names = [_path(n).base_name for n in (1, 2, 3)]
    assert database.invalidate(names[:1]) == ()
    # A referrer first, and what refers to itself only.
    assert database.invalidate([names[1], names[0], names[2]]) == (names[1], names[0], names[2])
    assert database.all_infos() == ()


def test_the_graph_closes_over_references(database: Database) -> None:
    database.register([_info(1), _info(2, 1), _info(3, 2), _info(4)])
    graph = database.graph()
    assert graph.closure([_path(3).base_name, "unknown"]) == {_path(n).base_name for n in (1, 2, 3)}
    assert Graph(needs={"a": ("b",), "b": ("a",)}).closure(["a"]) == {"a", "b"}


def test_threads_share_it(database: Database) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 10):
            database.register([_info(number)])
            assert database.info(_path(number)) is not None

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.all_infos()) == 30
    database.close()
    assert len(database.all_infos()) == 30


def test_an_error_in_a_transaction_undoes_it(database: Database) -> None:
    database.register([_info(1)])
    with pytest.raises(sqlite3.IntegrityError), database.writing() as connection:
        connection.execute("delete from ValidPaths")
        connection.execute("insert into Refs values (7, 8)")
    assert database.all_infos() == (_info(1),)


def test_a_bad_row_is_said(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("insert into ValidPaths (path, hash, registrationTime) values ('/nix/store/x', 'y', 1)")
    with pytest.raises(StoreError, match="bad row\n  '/nix/store/x'"):
        database.all_infos()


def test_a_database_that_cannot_grow_says_so(tmp_path: Path) -> None:
    """SQLite rolls back by itself then, so that a second time is an error of its own."""
    layout = StoreLayout.at(tmp_path / "root")
    database = Database(layout)
    database.register([_info(1)])
    with database.writing() as connection:
        connection.execute(f"pragma max_page_count = {connection.execute('pragma page_count').fetchone()[0]}")
    many = [_info(number) for number in range(2, 500)]
    with pytest.raises(StoreError, match="database or disk is full") as caught, refusing("add", layout.root):
        database.register(many)
    assert "free some space" in caught.value.hint
    assert database.all_infos() == (_info(1),)
    with database.writing() as connection:
        connection.execute("pragma max_page_count = 100000")
    database.register(many)
    assert len(database.all_infos()) == 499


@pytest.mark.parametrize("statement", ["commit", "select"])
def test_a_refused_statement_ends_its_transaction(database: Database, statement: str) -> None:
    """The next one begins anew, and the error is the first one's."""
    database.register([_info(1)])

    class Refusing(sqlite3.Connection):
        armed = True

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql.startswith(statement) and Refusing.armed:
                Refusing.armed = False
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            opening, "connect", lambda uri: sqlite3.connect(uri, uri=True, isolation_level=None, factory=Refusing)
        )
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            database.register([_info(2)])
            database.all_infos()
        database.register([_info(3)])
        assert _path(3) in database.valid([_path(3)])
