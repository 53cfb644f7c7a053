from __future__ import annotations

import os
from pathlib import Path

import pytest

from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.placing import Staged, place, replace
from hf_pack.errors import StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_path
from hf_pack.model.path_info import PathInfo


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return StoreLayout.at(tmp_path / "root")


@pytest.fixture
def database(layout: StoreLayout) -> Database:
    database = Database(layout)
    database.create()
    return database


def _staged(layout: StoreLayout, contents: bytes, *references: StorePath) -> Staged:
    path = layout.staging / contents.decode()
    path.write_bytes(contents)
    nar_hash, nar_size = nar.hash_and_size(nar.NarFile(contents))
    store_path = flat_path("x.bin", Hash.sha256_of(contents))
    info = PathInfo(store_path=store_path, nar_hash=nar_hash, nar_size=nar_size, references=references)
    return Staged(path=path, info=info)


def test_what_is_placed_is_valid_and_there(layout: StoreLayout, database: Database) -> None:
    one, two = _staged(layout, b"one"), _staged(layout, b"two")
    assert place([one, two], layout, database) == {one.info.store_path, two.info.store_path}
    assert layout.real_path(one.info.store_path).read_bytes() == b"one"
    assert {path.name for path in layout.store_dir.iterdir()} == {
        one.info.store_path.base_name,
        two.info.store_path.base_name,
    }


def test_the_second_to_come_changes_nothing(layout: StoreLayout, database: Database) -> None:
    place([_staged(layout, b"one")], layout, database)
    again = _staged(layout, b"one")
    inode = layout.real_path(again.info.store_path).stat().st_ino
    assert place([again], layout, database) == frozenset()
    assert layout.real_path(again.info.store_path).stat().st_ino == inode
    assert again.path.exists()  # its staging folder goes with it


def test_a_leftover_gives_way(layout: StoreLayout, database: Database) -> None:
    staged = _staged(layout, b"one")
    leftover = layout.real_path(staged.info.store_path)
    leftover.mkdir()
    (leftover / "x").touch()
    leftover.chmod(0o555)
    place([staged], layout, database)
    assert leftover.read_bytes() == b"one"


def test_what_cannot_be_registered_is_not_valid(layout: StoreLayout, database: Database) -> None:
    staged = _staged(layout, b"one", StorePath("0" * 32, "missing"))
    with pytest.raises(StoreError):
        place([staged, _staged(layout, b"two")], layout, database)
    assert database.all_infos() == ()
    assert not any(path.name.endswith(".lock") for path in layout.store_dir.iterdir())


def test_a_damaged_file_is_not_linked_to_again_by_nix(layout: StoreLayout, database: Database) -> None:
    staged = _staged(layout, b"one")
    place([staged], layout, database)
    layout.links_dir.mkdir()
    optimised = layout.links_dir / staged.info.nar_hash.nix32()
    os.link(layout.real_path(staged.info.store_path), optimised)
    other = layout.links_dir / ("0" * 52)
    other.write_bytes(b"other")
    optimised.write_bytes(b"eno")
    replace(_staged(layout, b"one"), layout, database, aside=layout.staging / "aside")
    assert layout.real_path(staged.info.store_path).read_bytes() == b"one"
    assert [path.name for path in layout.links_dir.iterdir()] == [other.name]
