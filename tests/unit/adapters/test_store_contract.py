"""What every store must do (:class:`hf_pack.ports.Store`): that of the tests, the embedded one, and Nix's own."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpus import read_tree
from tests.daemon_stores import chroot_store
from tests.embedded_stores import NEEDS_NIX, Quiet, linked_plan, self_contained_plan, source_file
from tests.memory_store import MemoryStore

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.nix_daemon.store import NixDaemonStore
from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_content_address, flat_path, recursive_path
from hf_pack.model.lock import Blob
from hf_pack.model.plan import Plan
from hf_pack.ports import AddedBlob, FileToAdd, Store

QUIET = Quiet()
ONE, TWO = b"1" * 5000, b"2" * 5001
PLANS = [linked_plan, self_contained_plan]


@pytest.fixture(params=["memory", "embedded", pytest.param("daemon", marks=NEEDS_NIX)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    stores: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(tmp_path / "memory"),
        "embedded": lambda: EmbeddedStore(tmp_path / "embedded"),
        "daemon": lambda: chroot_store(tmp_path / "daemon"),
    }
    return stores[request.param]()


@pytest.fixture(params=PLANS, ids=["linked", "self-contained"])
def make_plan(request: pytest.FixtureRequest) -> Callable[..., Plan]:
    maker: Callable[..., Plan] = request.param
    return maker


def add(store: Store, folder: Path, name: str, contents: bytes) -> AddedBlob:
    return store.add_blobs([source_file(folder, name, contents)], QUIET)[0]


def damage(path: Path) -> None:
    """Other bytes of the same length, as a bad disk gives."""
    path.chmod(0o644)
    contents = path.read_bytes()
    path.write_bytes(bytes(byte ^ 1 for byte in contents))


def test_an_empty_store_has_nothing(store: Store) -> None:
    path = flat_path("x", Hash.sha256_of(b""))
    assert store.path_info(path) is None
    assert store.all_paths() == ()
    assert store.roots() == ()
    assert store.valid_paths([path]) == frozenset()
    assert [problem.store_path for problem in store.check(path, QUIET)] == [path]


def test_a_blob_is_valid_under_the_path_of_its_hash(store: Store, tmp_path: Path) -> None:
    added = add(store, tmp_path, "w.bin", ONE)
    assert added.blob == Blob(name="w.bin", sha256=Hash.sha256_of(ONE), size=5000)
    assert added.bytes_read == 5000
    path = flat_path("w.bin", Hash.sha256_of(ONE))
    info = store.path_info(path)
    assert info is not None
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(nar.NarFile(ONE))
    assert info.content_address == f"fixed:sha256:{Hash.sha256_of(ONE).nix32()}"
    assert info.references == ()
    assert store.real_path(path).read_bytes() == ONE
    assert store.all_paths() == (info,)
    assert store.check(path, QUIET) == ()


def test_blobs_come_back_in_the_order_given(store: Store, tmp_path: Path) -> None:
    files = [source_file(tmp_path, f"{n}.bin", bytes([n]) * (10 + n)) for n in range(5)]
    added = store.add_blobs([files[3], files[0], files[3]], QUIET)
    assert [blob.blob.name for blob in added] == ["3.bin", "0.bin", "3.bin"]
    assert store.add_blobs([], QUIET) == ()


def test_a_blob_that_is_there_is_neither_read_nor_written(store: Store, tmp_path: Path) -> None:
    file = source_file(tmp_path, "w.bin", ONE)
    first = store.add_blobs([file], QUIET)[0]
    known = FileToAdd(name="w.bin", real_path=tmp_path / "gone", expected=first.blob.sha256)
    again = store.add_blobs([known], QUIET)[0]
    assert again == AddedBlob(blob=first.blob, bytes_read=0, bytes_written=0)


def test_objects_are_found_by_their_name(store: Store, tmp_path: Path) -> None:
    one, two = (add(store, tmp_path / str(n), "w.bin", bytes([n])).blob.store_path for n in (1, 2))
    add(store, tmp_path, "w.bin.x", ONE)
    assert store.named("w.bin") == tuple(sorted((one, two)))
    assert store.named("w") == ()
    assert store.named("%") == ()


def test_an_object_is_found_by_its_digest(store: Store, tmp_path: Path) -> None:
    assert store.with_digest("0" * 32) is None
    path = add(store, tmp_path, "w.bin", ONE).blob.store_path
    assert store.with_digest(path.digest) == path
    assert store.with_digest("0" * 32) is None
    assert store.with_digest("z" * 32) is None


def test_the_nar_of_an_object_is_the_recorded_one(store: Store, tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    info = store.add_tree(make_plan("tree", [add(store, tmp_path, "a.bin", TWO).blob]), QUIET).info
    found = store.nar(info.store_path)
    assert found.size == info.nar_size
    assert Hash.sha256_of(b"".join(found.chunks(0, found.size))) == info.nar_hash


def test_other_bytes_than_expected_are_refused(store: Store, tmp_path: Path) -> None:
    file = source_file(tmp_path, "w.bin", ONE)
    wanted = FileToAdd(name="w.bin", real_path=file.real_path, expected=Hash.sha256_of(TWO))
    with pytest.raises(IntegrityError):
        store.add_blobs([wanted], QUIET)
    assert store.valid_paths([flat_path("w.bin", Hash.sha256_of(TWO))]) == frozenset()


def test_a_source_that_is_gone_is_a_store_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        store.add_blobs([FileToAdd(name="w.bin", real_path=tmp_path / "gone")], QUIET)


def test_a_tree_is_what_its_plan_says(store: Store, tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    blobs = [add(store, tmp_path, "a.bin", ONE).blob, add(store, tmp_path, "b.bin", TWO).blob]
    plan = make_plan("tree", blobs)
    info = store.add_tree(plan, QUIET).info
    tree = read_tree(store.real_path(info.store_path))
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(tree)
    assert info.store_path == recursive_path("tree", info.nar_hash, plan.references)
    assert info.references == plan.references
    assert info.content_address == f"fixed:r:sha256:{info.nar_hash.nix32()}"
    assert store.path_info(info.store_path) == info
    assert store.check(info.store_path, QUIET) == ()
    assert store.compare(plan, info.store_path) == ()


def test_a_tree_that_is_there_costs_nothing(store: Store, tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    plan = make_plan("tree", [add(store, tmp_path, "a.bin", ONE).blob])
    first = store.add_tree(plan, QUIET)
    again = store.add_tree(plan, QUIET)
    assert again.info == first.info
    assert (again.bytes_read, again.bytes_written) == (0, 0)


def test_a_tree_without_its_blobs_is_refused(store: Store, make_plan: Callable[..., Plan]) -> None:
    blob = Blob(name="a.bin", sha256=Hash.sha256_of(ONE), size=len(ONE))
    with pytest.raises(StoreError):
        store.add_tree(make_plan("tree", [blob]), QUIET)
    assert store.all_paths() == ()


def test_check_finds_a_damaged_blob_and_replace_mends_it(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "a.bin", ONE).blob
    damage(store.real_path(blob.store_path))
    assert [problem.store_path for problem in store.check(blob.store_path, QUIET)] == [blob.store_path]
    wrong = source_file(tmp_path / "wrong", "a.bin", TWO)
    with pytest.raises(IntegrityError):
        store.replace_blob(wrong, blob, QUIET)
    assert store.check(blob.store_path, QUIET)
    store.replace_blob(source_file(tmp_path, "a.bin", ONE), blob, QUIET)
    assert store.check(blob.store_path, QUIET) == ()
    assert store.real_path(blob.store_path).read_bytes() == ONE


def test_check_finds_an_object_that_is_gone_and_replace_brings_it_back(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "a.bin", ONE).blob
    store.real_path(blob.store_path).unlink()
    assert store.check(blob.store_path, QUIET)
    store.replace_blob(source_file(tmp_path, "a.bin", ONE), blob, QUIET)
    assert store.check(blob.store_path, QUIET) == ()


def test_replace_makes_an_object_valid_that_never_was(store: Store, tmp_path: Path) -> None:
    blob = Blob(name="a.bin", sha256=Hash.sha256_of(ONE), size=len(ONE))
    store.replace_blob(source_file(tmp_path, "a.bin", ONE), blob, QUIET)
    assert store.valid_paths([blob.store_path]) == {blob.store_path}
    assert store.check(blob.store_path, QUIET) == ()


def pretend(store: Store, path: StorePath, contents: bytes, *, content_address: str | None) -> None:
    """Put other bytes under a path, and make the store's record agree with them."""
    store.real_path(path).chmod(0o644)
    store.real_path(path).write_bytes(contents)
    nar_hash, nar_size = nar.hash_and_size(nar.NarFile(contents))
    if isinstance(store, MemoryStore):
        info = replace(store._infos[path], nar_hash=nar_hash, nar_size=nar_size, content_address=content_address)
        store._infos[path] = info
        return
    with closing(sqlite3.connect(store.real_path(path).parents[1] / "var/nix/db/db.sqlite")) as database, database:
        query = "update ValidPaths set hash = ?, narSize = ?, ca = ? where path = ?"
        database.execute(query, (nar_hash.hex_text(), nar_size, content_address, str(path)))
    if isinstance(store, NixDaemonStore):
        store.close()  # a daemon remembers what it read


def test_check_finds_bytes_that_are_recorded_but_not_expected(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "a.bin", ONE).blob
    assert store.check(blob.store_path, QUIET, sha256=blob.sha256) == ()
    pretend(store, blob.store_path, TWO, content_address=None)
    assert store.check(blob.store_path, QUIET) == ()
    assert [problem.store_path for problem in store.check(blob.store_path, QUIET, sha256=blob.sha256)] == [
        blob.store_path
    ]


def test_check_finds_a_content_address_that_gives_another_path(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "a.bin", ONE).blob
    pretend(store, blob.store_path, TWO, content_address=flat_content_address(Hash.sha256_of(TWO)))
    assert [problem.store_path for problem in store.check(blob.store_path, QUIET)] == [blob.store_path]


@pytest.mark.parametrize("by", ["file", "reception"])
def test_bytes_that_are_only_recorded_give_way_to_the_right_ones(store: Store, tmp_path: Path, by: str) -> None:
    file = source_file(tmp_path, "a.bin", ONE)
    blob = store.add_blobs([file], QUIET)[0].blob
    pretend(store, blob.store_path, TWO, content_address=None)
    if by == "file":
        store.add_blobs([replace(file, expected=blob.sha256)], QUIET)
    else:
        receive_all(store, blob, ONE)
    assert store.read(blob.store_path) == ONE
    assert store.check(blob.store_path, QUIET, sha256=blob.sha256) == ()
    info = store.path_info(blob.store_path)
    assert info is not None and info.content_address == flat_content_address(blob.sha256)


def test_compare_names_each_file_that_is_wrong(store: Store, tmp_path: Path) -> None:
    plan = linked_plan("tree", [add(store, tmp_path, "a.bin", ONE).blob, add(store, tmp_path, "b.bin", TWO).blob])
    path = store.add_tree(plan, QUIET).info.store_path
    tree = store.real_path(path)
    damage(tree / "config.json")
    for directory in (tree, tree / "weights"):
        directory.chmod(0o755)
    (tree / "weights" / "0-a.bin").unlink()
    (tree / "weights" / "1-b.bin").unlink()
    (tree / "weights" / "1-b.bin").symlink_to("elsewhere")
    (tree / "weights" / "strange").write_bytes(b"")
    assert [problem.path for problem in store.compare(plan, path)] == [
        "config.json",
        "weights/0-a.bin",
        "weights/1-b.bin",
        "weights/strange",
    ]
    assert store.check(path, QUIET)
    store.replace_tree(plan, QUIET)
    assert store.compare(plan, path) == ()
    assert store.check(path, QUIET) == ()


def test_compare_looks_into_the_files_of_a_self_contained_tree(store: Store, tmp_path: Path) -> None:
    plan = self_contained_plan("tree", [add(store, tmp_path, "a.bin", ONE).blob])
    path = store.add_tree(plan, QUIET).info.store_path
    damage(store.real_path(path) / "weights" / "0-a.bin")
    assert [problem.path for problem in store.compare(plan, path)] == ["weights/0-a.bin"]


def test_files_are_read_in_part_and_through_links(store: Store, tmp_path: Path, make_plan: Callable[..., Plan]) -> None:
    blob = add(store, tmp_path, "a.bin", b"0123456789").blob
    tree = store.add_tree(make_plan("tree", [blob], text=b"{}"), QUIET).info.store_path
    assert store.read(blob.store_path) == b"0123456789"
    assert store.read(blob.store_path, offset=3, size=4) == b"3456"
    assert store.read(blob.store_path, offset=8, size=40) == b"89"
    assert store.read(blob.store_path, offset=80) == b""
    assert store.read(tree, "weights/0-a.bin", offset=9) == b"9"
    for inside in ("nowhere", "weights"):
        with pytest.raises(StoreError):
            store.read(tree, inside)


def test_an_object_without_provenance_is_no_package(store: Store, tmp_path: Path) -> None:
    blob = add(store, tmp_path, "a.bin", ONE).blob
    tree = store.add_tree(linked_plan("tree", [blob]), QUIET).info.store_path
    assert store.package_files(tree) is None
    assert store.package_files(blob.store_path) is None
    assert store.package_files(flat_path("gone", blob.sha256)) is None


def test_garbage_is_what_no_root_reaches(store: Store, tmp_path: Path) -> None:
    kept, shared, dead = (add(store, tmp_path, name, name.encode()).blob for name in ("a.bin", "b.bin", "c.bin"))
    tree = store.add_tree(linked_plan("tree", [shared]), QUIET).info.store_path
    lock, result = tmp_path / "x.lock", tmp_path / "result-x"
    lock.write_bytes(b"")
    result.symlink_to(store.real_path(tree))
    store.add_root(lock, [kept.store_path])
    store.add_root(result, [tree])
    assert {(root.store_path, root.owner) for root in store.roots() if root.owner} == {
        (kept.store_path, str(lock)),
        (tree, str(result)),
    }

    preview = store.collect_garbage(dry_run=True)
    assert preview.deleted == (dead.store_path,)
    assert store.path_info(dead.store_path) is not None
    assert store.collect_garbage(dry_run=False).deleted == (dead.store_path,)
    assert {info.store_path for info in store.all_paths()} == {kept.store_path, shared.store_path, tree}
    assert not os.path.lexists(store.real_path(dead.store_path))

    result.unlink()
    lock.unlink()
    assert set(store.collect_garbage(dry_run=False).deleted) == {kept.store_path, shared.store_path, tree}
    assert store.all_paths() == ()


def test_a_new_root_takes_the_place_of_the_owners_earlier_one(store: Store, tmp_path: Path) -> None:
    one, two = (add(store, tmp_path, name, name.encode()).blob for name in ("a.bin", "b.bin"))
    lock = tmp_path / "x.lock"
    lock.write_bytes(b"")
    store.add_root(lock, [one.store_path])
    store.add_root(lock, [two.store_path])
    assert store.collect_garbage(dry_run=False).deleted == (one.store_path,)
    with pytest.raises(StoreError):
        store.add_root(lock, [one.store_path])
    assert store.collect_garbage(dry_run=True).deleted == ()


def test_a_session_keeps_what_it_added_or_asked_for(store: Store, tmp_path: Path) -> None:
    early, never = (add(store, tmp_path, name, name.encode()).blob for name in ("a.bin", "b.bin"))
    gone = flat_path("gone", early.sha256)
    with store.session():
        late = add(store, tmp_path, "c.bin", TWO).blob
        tree = store.add_tree(linked_plan("tree", [late]), QUIET).info.store_path
        assert store.keep([early.store_path, gone]) == {early.store_path}
        assert store.collect_garbage(dry_run=False).deleted == (never.store_path,)
    assert set(store.collect_garbage(dry_run=False).deleted) == {early.store_path, late.store_path, tree}


def receive_all(store: Store, blob: Blob, contents: bytes) -> AddedBlob:
    with store.receive(blob) as reception:
        assert reception is not None
        for part in reception.missing:
            reception.write(part.offset, contents[part.offset : part.offset + part.size])
        assert reception.missing == ()
        return reception.finish()


@pytest.mark.parametrize("contents", [b"", b"x", TWO])
def test_a_received_blob_is_as_an_added_one(store: Store, contents: bytes) -> None:
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(contents), size=len(contents))
    assert receive_all(store, blob, contents).blob == blob
    info = store.path_info(blob.store_path)
    assert info is not None
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(nar.NarFile(contents))
    assert info.content_address == f"fixed:sha256:{blob.sha256.nix32()}"
    assert store.read(blob.store_path) == contents
    assert store.check(blob.store_path, QUIET) == ()
    with store.receive(blob) as reception:
        assert reception is None


def test_nothing_is_visible_before_it_is_proved(store: Store) -> None:
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(ONE), size=len(ONE))
    with store.receive(blob) as reception:
        assert reception is not None
        assert sum(part.size for part in reception.missing) == len(ONE)
        for part in reception.missing:
            reception.write(part.offset, b"x" * part.size)
        with pytest.raises(IntegrityError):
            reception.finish()
        assert sum(part.size for part in reception.missing) == len(ONE)
    assert store.path_info(blob.store_path) is None
    receive_all(store, blob, ONE)
    assert store.read(blob.store_path) == ONE


def test_what_was_received_is_not_asked_for_again(store: Store) -> None:
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(TWO), size=len(TWO))
    with store.receive(blob) as reception:
        assert reception is not None
        reception.write(0, TWO[:2000])
        with pytest.raises(ValueError, match="not complete"):
            reception.finish()
    with store.receive(blob) as reception:
        assert reception is not None
        assert sum(part.size for part in reception.missing) == len(TWO) - 2000
        reception.discard()
        assert sum(part.size for part in reception.missing) == len(TWO)
        reception.write(0, TWO[:3000])
        with pytest.raises(ValueError):
            reception.write(3001, TWO[3001:])  # leaves a gap
    receive_all(store, blob, TWO)
    assert store.read(blob.store_path) == TWO


def test_a_session_keeps_what_it_received(store: Store) -> None:
    blob = Blob(name="w.bin", sha256=Hash.sha256_of(ONE), size=len(ONE))
    with store.session():
        receive_all(store, blob, ONE)
        assert store.collect_garbage(dry_run=False).deleted == ()
    assert store.collect_garbage(dry_run=False).deleted == (blob.store_path,)
