"""A store whose database is damaged or gone is made anew from its objects; real Nix finds it sound."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import (
    NEEDS_NIX,
    Quiet,
    add_bytes,
    assert_sound,
    linked_plan,
    run_beside,
    self_contained_plan,
    snapshot,
)

from hf_pack.adapters.embedded import rebuild as rebuilding
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.rebuild import rebuild
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo

CONTENTS = bytes(range(256)) * 5000


def database(root: Path) -> Path:
    return root / "nix" / "var" / "nix" / "db" / "db.sqlite"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a blob, a linked tree, a self-contained one, and a root."""
    with EmbeddedStore(tmp_path / "store") as store:
        blob = add_bytes(store, tmp_path, "model.safetensors", CONTENTS).blob
        linked = store.add_tree(linked_plan("linked", [blob]), Quiet()).info
        store.add_tree(self_contained_plan("whole", [blob]), Quiet())
        (tmp_path / "result").touch()
        store.add_root(tmp_path / "result", [linked.store_path])
    return tmp_path / "store"


def infos(root: Path) -> dict[StorePath, PathInfo]:
    with EmbeddedStore(root) as store:
        return {info.store_path: info for info in store.all_paths()}


def overwrite(file: Path) -> None:
    file.write_bytes(b"this is no database" * 1000)


def shorten(file: Path) -> None:
    os.truncate(file, 5000)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096 * 2 : 4096 * 3] = bytes(4096)  # a page of a table
    file.write_bytes(data)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [overwrite, shorten, flip, remove])
@pytest.mark.nix
@NEEDS_NIX[1]
def test_every_object_is_valid_again(root: Path, damage: Callable[[Path], None]) -> None:
    before = infos(root)
    damage(database(root))
    rebuilt = rebuild(StoreLayout.at(root), Quiet())
    assert rebuilt.unproved == ()
    after = infos(root)
    assert after.keys() == before.keys()
    for path, info in after.items():
        assert (info.nar_hash, info.nar_size) == (before[path].nar_hash, before[path].nar_size)
        assert (info.references, info.content_address) == (before[path].references, before[path].content_address)
    assert_sound(root)
    with EmbeddedStore(root) as store:
        assert "linked" in {found.store_path.name for found in store.roots()}


def test_a_sound_database_gives_the_same_one_with_its_times_and_signatures(root: Path) -> None:
    layout = StoreLayout.at(root)
    known = Database(layout)
    known.register([replace(info, signatures=("key-1:c2ln", "key-2:c2ln")) for info in known.all_infos()])
    plain = layout.real_path(StorePath.parse(f"/nix/store/{'a' * 32}-built"))
    plain.write_bytes(b"hello")
    plain.chmod(0o444)
    signed = PathInfo(
        store_path=StorePath.parse_base_name(plain.name),
        nar_hash=file_nar_hash(b"hello"),
        nar_size=nar.file_size(5),
        signatures=("key-1:c2ln",),
    )
    known.register([signed])
    known.close()
    before = infos(root)
    assert all(info.signatures for info in before.values())
    rebuilt = rebuild(StoreLayout.at(root), Quiet())
    assert infos(root) == before
    assert rebuilt.old_database is not None and Path(rebuilt.old_database).is_file()


def test_a_damaged_object_is_not_registered_nor_what_needs_it(root: Path) -> None:
    with EmbeddedStore(root) as store:
        blob = next(path for path in infos(root) if path.name == "model.safetensors")
        file = store.real_path(blob)
    file.chmod(0o644)
    file.write_bytes(CONTENTS[:-1] + b"x")
    rebuilt = rebuild(StoreLayout.at(root), Quiet())
    assert {problem.store_path.name for problem in rebuilt.unproved} == {"model.safetensors", "linked", "whole"}
    assert infos(root) == {}
    assert file.exists()


@pytest.mark.nix
@NEEDS_NIX[1]
def test_what_cannot_prove_itself_needs_the_old_database(root: Path) -> None:
    built = StorePath.parse(f"/nix/store/{'a' * 32}-built")  # an output of a derivation: its path is not its content's
    layout = StoreLayout.at(root)
    layout.real_path(built).write_bytes(b"hello")
    layout.real_path(built).chmod(0o444)
    os.utime(layout.real_path(built), (1, 1))
    known = Database(layout)
    known.register([PathInfo(store_path=built, nar_hash=file_nar_hash(b"hello"), nar_size=nar.file_size(5))])
    known.close()
    assert rebuild(layout, Quiet()).unproved == ()
    assert infos(root)[built].content_address is None
    assert_sound(root)
    database(root).unlink()
    rebuilt = rebuild(layout, Quiet())
    assert [problem.store_path for problem in rebuilt.unproved] == [built]
    assert built not in infos(root)


def file_nar_hash(contents: bytes) -> Hash:
    return nar.hash_and_size(nar.NarFile(contents))[0]


def _hold(root: Path, ready: Path, done: Path) -> None:
    with EmbeddedStore(root) as store:
        store.all_paths()
        os.mkfifo(done)
        ready.touch()
        done.read_bytes()


def test_a_store_that_is_in_use_is_left_alone(root: Path, tmp_path: Path) -> None:
    process = run_beside(_hold, root, tmp_path / "ready", tmp_path / "done")
    try:
        while not (tmp_path / "ready").exists():
            assert process.is_alive()
        before = database(root).read_bytes()
        with pytest.raises(StoreError, match="another process"):
            rebuild(StoreLayout.at(root), Quiet())
        assert database(root).read_bytes() == before
    finally:
        (tmp_path / "done").write_bytes(b"")
        process.join()


CHANGES = ("os.rename", "os.replace", "os.link", "os.unlink")


def _rebuild_until(root: Path, number: int) -> None:
    made = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            made += 1
            if made == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    for name in CHANGES:
        setattr(os, name.removeprefix("os."), counted(getattr(os, name.removeprefix("os."))))
    rebuilding.rebuild(StoreLayout.at(root), Quiet())


def test_killed_at_any_change_it_ends_right_when_run_again(root: Path) -> None:
    expected = infos(root).keys()
    for number in range(1, 40):
        overwrite(database(root))
        process = run_beside(_rebuild_until, root, number)
        process.join()
        rebuild(StoreLayout.at(root), Quiet())
        assert infos(root).keys() == expected
        if process.exitcode == 0:
            break
    assert 3 < number < 39


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hf_pack", *arguments], capture_output=True, text=True)


def test_the_error_of_a_damaged_database_names_the_command_that_mends_it(root: Path) -> None:
    overwrite(database(root))
    failed = run("list", "--store", str(root))
    assert failed.returncode == 6
    assert "hint: hf-pack store repair" in failed.stderr
    assert "Traceback" not in failed.stderr
    mended = run("store", "repair", "--store", str(root), "--json")
    assert mended.returncode == 0
    document = json.loads(mended.stdout)
    assert len(document["registered"]) == 3 and document["unproved"] == []
    assert run("list", "--store", str(root)).returncode == 0


def test_a_reference_that_leads_nowhere_is_damage(root: Path) -> None:
    with closing(sqlite3.connect(database(root))) as connection:
        connection.execute("delete from ValidPaths where path like '%model.safetensors'")
        connection.commit()
    for command in ("list", "gc"):
        failed = run(command, "--store", str(root))
        assert failed.returncode == 6
        assert "hint: hf-pack store repair" in failed.stderr and "Traceback" not in failed.stderr
    assert run("store", "repair", "--store", str(root)).returncode == 0
    assert len(infos(root)) == 3


def test_a_store_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    failed = run("store", "repair", "--store", str(tmp_path / "none"))
    assert failed.returncode == 6
    assert not (tmp_path / "none").exists()


def test_the_machines_store_is_nixs_to_repair() -> None:
    failed = run("store", "repair", "--store", "daemon")
    assert failed.returncode == 2
    assert "nix-store --verify" in failed.stderr


def test_nothing_but_the_database_changes(root: Path) -> None:
    def objects() -> list[tuple[str, int, int, bytes]]:
        return [entry for entry in snapshot(root) if "/nix/store/" in entry[0]]

    before = objects()
    rebuild(StoreLayout.at(root), Quiet())
    assert objects() == before
    with closing(sqlite3.connect(database(root))) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
