from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet, add_bytes, linked_plan, self_contained_plan

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.store_path import StorePath, flat_content_address, flat_path, recursive_content_address


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def _problems(store: EmbeddedStore, store_path: StorePath) -> str:
    found = store.check(store_path, Quiet())
    assert all(problem.store_path == store_path and problem.path == "" for problem in found)
    return " | ".join(problem.problem for problem in found)


def test_sound_objects_have_no_problem_and_are_read_whole(store: EmbeddedStore, tmp_path: Path) -> None:
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob
    progress = Quiet()
    assert store.check(blob.store_path, progress) == ()
    assert progress.done == 100_000
    for plan in (linked_plan("tree", [blob]), self_contained_plan("tree", [blob])):
        assert store.check(store.add_tree(plan, Quiet()).info.store_path, Quiet()) == ()


@pytest.mark.parametrize("damage", ["byte", "length", "executable", "directory"])
def test_each_damage_of_a_blob_is_found(store: EmbeddedStore, tmp_path: Path, damage: str) -> None:
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob
    real_path = store.real_path(blob.store_path)
    real_path.chmod(0o644)
    match damage:
        case "byte":
            real_path.write_bytes(b"w" * 50_000 + b"v" + b"w" * 49_999)
        case "length":
            os.truncate(real_path, 99_999)
        case "executable":
            real_path.chmod(0o755)
        case _:
            real_path.unlink()
            real_path.mkdir()
    assert _problems(store, blob.store_path).startswith("NAR hash: expected sha256-")


@pytest.mark.parametrize("damage", ["contents", "missing", "more", "target"])
def test_each_damage_of_a_tree_is_found(store: EmbeddedStore, tmp_path: Path, damage: str) -> None:
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
    tree = store.add_tree(linked_plan("tree", [blob]), Quiet()).info.store_path
    weights = store.real_path(tree) / "weights"
    weights.chmod(0o755)
    match damage:
        case "contents":
            config = store.real_path(tree) / "config.json"
            config.chmod(0o644)
            config.write_bytes(b"[]")
        case "missing":
            (weights / "0-w.bin").unlink()
        case "more":
            (weights / "x").touch()
        case _:
            (weights / "0-w.bin").unlink()
            (weights / "0-w.bin").symlink_to("elsewhere")
    assert _problems(store, tree).startswith("NAR hash: expected sha256-")


def test_what_is_not_there(store: EmbeddedStore, tmp_path: Path) -> None:
    assert _problems(store, StorePath("0" * 32, "x")) == "it is not in the store"
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
    store.real_path(blob.store_path).unlink()
    assert _problems(store, blob.store_path) == "it is not on disk"


def test_a_pipe_is_no_object(store: EmbeddedStore, tmp_path: Path) -> None:
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
    real_path = store.real_path(blob.store_path)
    real_path.unlink()
    os.mkfifo(real_path)
    assert "neither a file, a directory nor a link" in _problems(store, blob.store_path)


def _record(store: EmbeddedStore, store_path: StorePath, **columns: str | None) -> None:
    with store._database.writing() as connection:
        for column, value in columns.items():
            connection.execute(f"update ValidPaths set {column} = ? where path = ?", (value, str(store_path)))


def test_a_record_that_does_not_fit_its_path_is_found(store: EmbeddedStore, tmp_path: Path) -> None:
    one = add_bytes(store, tmp_path / "src", "one.bin", b"one").blob
    two = add_bytes(store, tmp_path / "src", "two.bin", b"two").blob
    tree = store.add_tree(linked_plan("tree", [one]), Quiet()).info
    _record(store, one.store_path, ca=flat_content_address(two.sha256))
    assert _problems(store, one.store_path) == f"content address: that of {flat_path('one.bin', two.sha256)}"
    for text, problem in (
        ("fixed:md5:x", "no form of a md5 hash"),
        (flat_content_address(one.sha256), "cannot have references"),
        (recursive_content_address(one.sha256), "that of /nix/store/"),
    ):
        _record(store, tree.store_path, ca=text)
        assert problem in _problems(store, tree.store_path)


def test_bytes_that_hash_as_recorded_are_not_what_the_caller_expects(store: EmbeddedStore, tmp_path: Path) -> None:
    """Whoever writes the store can make its record agree with anything; not with the lock."""
    blob = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
    other = add_bytes(store, tmp_path / "src", "w.bin", b"v").blob
    assert store.check(blob.store_path, Quiet(), sha256=blob.sha256) == ()
    real_path = store.real_path(blob.store_path)
    real_path.chmod(0o644)
    real_path.write_bytes(b"v")
    info = store.path_info(other.store_path)
    assert info is not None
    _record(store, blob.store_path, hash=info.nar_hash.hex_text(), ca=None)
    assert _problems(store, blob.store_path) == ""
    (found,) = store.check(blob.store_path, Quiet(), sha256=blob.sha256)
    assert found.problem == f"sha256: expected {blob.sha256.hex()}, found {other.sha256.hex()}"
    tree = store.add_tree(linked_plan("tree", [other]), Quiet()).info
    (found,) = store.check(tree.store_path, Quiet(), sha256=blob.sha256)
    assert found.problem.endswith("found an object that is no plain file")
    _record(store, blob.store_path, ca=flat_content_address(blob.sha256))
    (found,) = store.check(blob.store_path, Quiet())
    assert found.problem == f"content address: expected {blob.sha256.hex()}, found {other.sha256.hex()}"
