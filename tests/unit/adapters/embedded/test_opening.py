from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet, add_bytes

from hf_pack.adapters.embedded import opening
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import StoreError


def test_a_store_that_is_not_there_is_empty_and_stays_away(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "root")
    assert store.all_paths() == ()
    assert store.roots() == ()
    assert store.collect_garbage(dry_run=True).kept == store.collect_garbage(dry_run=False).kept == 0
    with store.session():
        assert store.keep([]) == frozenset()
    assert not (tmp_path / "root").exists()


def test_a_new_store_is_one_of_nix(tmp_path: Path) -> None:
    layout = StoreLayout.at(tmp_path / "deep" / "root")
    opening.create(layout)
    assert opening.exists(layout)
    assert layout.schema.read_bytes() == b"10"
    with closing(sqlite3.connect(layout.database)) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
        tables = database.execute("select name from sqlite_master where type = 'table'").fetchall()
    assert {name for (name,) in tables} >= {"ValidPaths", "Refs", "DerivationOutputs"}
    opening.create(layout)


def test_a_creation_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    layout = StoreLayout.at(tmp_path)
    opening.create(layout)
    layout.schema.unlink()
    assert not opening.exists(layout)
    add_bytes(EmbeddedStore(tmp_path), tmp_path / "nix" / "src", "x.bin", b"x")
    assert opening.exists(layout)


def test_a_fresh_file_system_is_room_enough(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert EmbeddedStore(tmp_path).all_paths() == ()


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=f"not a store: {root} is a file or lies below one"):
            EmbeddedStore(root)


def test_a_directory_of_something_else_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(b"")
    with pytest.raises(StoreError, match=r"not empty.*\n  it holds 'thesis.tex'") as caught:
        EmbeddedStore(tmp_path)
    assert "--store" in caught.value.hint


def test_objects_without_a_database_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "nix" / "store" / "precious").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"without a database\n  .*holds 'precious'"):
        EmbeddedStore(tmp_path)


@pytest.mark.parametrize(("schema", "hint"), [("11", "newer hf-pack"), ("9", "nix-store --store"), ("x", "nix-store")])
def test_another_schema_is_refused(tmp_path: Path, schema: str, hint: str) -> None:
    layout = StoreLayout.at(tmp_path)
    opening.create(layout)
    layout.schema.write_text(schema)
    with pytest.raises(StoreError, match=f"expected schema 10, found '{schema}'") as caught:
        EmbeddedStore(tmp_path)
    assert hint in caught.value.hint


def test_a_lost_or_damaged_database_is_said(tmp_path: Path) -> None:
    layout = StoreLayout.at(tmp_path)
    opening.create(layout)
    layout.database.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        EmbeddedStore(tmp_path).all_paths()
    layout.database.unlink()
    with pytest.raises(StoreError, match="without its database"):
        EmbeddedStore(tmp_path)


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = EmbeddedStore(tmp_path / "link")
    assert store.root == tmp_path.resolve() / "real"
    assert store.url == f"local?root={store.root}"
    blob = add_bytes(store, tmp_path / "src", "x.bin", b"x").blob
    assert EmbeddedStore(tmp_path / "real").check(blob.store_path, Quiet()) == ()
