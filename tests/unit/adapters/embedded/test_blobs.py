from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet, add_bytes, source_file, store_entries

from hf_pack.adapters.embedded import blobs
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import objects
from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_content_address, flat_path
from hf_pack.model.lock import Blob
from hf_pack.ports import FileToAdd

_BYTES = b"w" * 100_000
_SHA256 = Hash.sha256_of(_BYTES)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def test_a_blob_is_registered_as_the_fetched_file_would_be(store: EmbeddedStore, tmp_path: Path) -> None:
    added = add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    assert (added.bytes_read, added.bytes_written) == (100_000, 100_000)
    assert added.blob.store_path == flat_path("w.bin", _SHA256)
    info = store.path_info(added.blob.store_path)
    assert info is not None
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(nar.NarFile(_BYTES))
    assert (info.references, info.content_address) == ((), flat_content_address(_SHA256))
    status = store.real_path(info.store_path).stat()
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_nlink) == (0o444, 1, 1)


def test_an_executable_source_becomes_a_plain_file(store: EmbeddedStore, tmp_path: Path) -> None:
    file = source_file(tmp_path / "src", "w.bin", _BYTES)
    file.real_path.chmod(0o755)
    added = store.add_blobs([file], Quiet())[0]
    assert store.real_path(added.blob.store_path).stat().st_mode & 0o7777 == 0o444


def test_a_blob_of_a_known_hash_is_not_read_again(store: EmbeddedStore, tmp_path: Path) -> None:
    add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    # Not even opened: there is nothing at its place.
    file = FileToAdd(name="w.bin", real_path=tmp_path / "nowhere", expected=_SHA256)
    added = store.add_blobs([file], Quiet())[0]
    assert (added.blob.size, added.bytes_read, added.bytes_written) == (100_000, 0, 0)


def test_the_same_bytes_under_another_name_are_a_link(store: EmbeddedStore, tmp_path: Path) -> None:
    first = add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    file = FileToAdd(name="other.bin", real_path=tmp_path / "nowhere", expected=_SHA256)
    added = store.add_blobs([file], Quiet())[0]
    assert (added.bytes_read, added.bytes_written) == (0, 0)
    assert added.blob.store_path == flat_path("other.bin", _SHA256)
    assert store.real_path(added.blob.store_path).samefile(store.real_path(first.blob.store_path))
    assert store.check(added.blob.store_path, Quiet()) == ()


def test_where_links_are_not_possible_the_bytes_are_copied(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    monkeypatch.setattr(objects, "link", lambda _source, _target: False)
    file = FileToAdd(name="other.bin", real_path=tmp_path / "src" / "w.bin", expected=_SHA256)
    added = store.add_blobs([file], Quiet())[0]
    assert (added.bytes_read, added.bytes_written) == (100_000, 100_000)
    assert not store.real_path(added.blob.store_path).samefile(store.real_path(first.blob.store_path))


def test_files_of_one_blob_that_is_there_under_another_name(store: EmbeddedStore, tmp_path: Path) -> None:
    add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    files = [FileToAdd(name="other.bin", real_path=tmp_path / gone, expected=_SHA256) for gone in ("one", "two")]
    more = FileToAdd(name="more.bin", real_path=tmp_path / "gone", expected=_SHA256)
    added = store.add_blobs([*files, more], Quiet())
    assert [(one.blob.name, one.blob.size, one.bytes_read) for one in added] == [
        ("other.bin", 100_000, 0),
        ("other.bin", 100_000, 0),
        ("more.bin", 100_000, 0),
    ]
    assert {store.real_path(info.store_path).stat().st_ino for info in store.all_paths()} == {
        store.real_path(added[0].blob.store_path).stat().st_ino
    }
    assert [store.check(info.store_path, Quiet()) for info in store.all_paths()] == [()] * 3


def _scans(store: EmbeddedStore) -> list[str]:
    """The statements from now on that read every row, for Nix's schema has no index of content addresses."""
    found: list[str] = []
    with store._database.writing() as connection:
        connection.set_trace_callback(lambda sql: found.append(sql) if " ca in " in sql else None)
    return found


def test_the_whole_database_is_read_once_a_call_and_only_for_what_is_missing(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    files = [source_file(tmp_path, f"{n}.bin", b"%d" % n) for n in range(20)]
    files = [replace(file, expected=Hash.sha256_of(file.real_path.read_bytes())) for file in files]
    scans = _scans(store)
    store.add_blobs(files, Quiet())
    assert len(scans) == 1
    store.add_blobs(files, Quiet())
    assert len(scans) == 1
    with store.receive(Blob(name="w.bin", sha256=_SHA256, size=100_000)) as reception:
        assert reception is not None
    assert len(scans) == 2
    with store.receive(Blob(name="0.bin", sha256=Hash.sha256_of(b"0"), size=1)) as reception:
        assert reception is None
    assert len(scans) == 2


def test_what_is_there_needs_no_staging(store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_bytes(store, tmp_path / "src", "w.bin", _BYTES)
    mkdir, made = os.mkdir, []

    def record(path: Path, mode: int = 0o777) -> None:
        mkdir(path, mode)
        made.append(path)

    monkeypatch.setattr(os, "mkdir", record)
    store.add_blobs([FileToAdd(name="w.bin", real_path=tmp_path / "gone", expected=_SHA256)], Quiet())
    with pytest.raises(StoreError, match="No such file"):
        store.add_blobs([FileToAdd(name="x.bin", real_path=tmp_path / "gone", expected=Hash.sha256_of(b""))], Quiet())
    assert made == []


def test_small_files_become_valid_together_and_large_ones_few_at_a_time(tmp_path: Path) -> None:
    def groups(*sizes: int) -> list[int]:
        files = {FileToAdd(name=str(n), real_path=tmp_path): size for n, size in enumerate(sizes)}
        found = [list(group) for group in blobs._groups(list(files), files)]
        assert [file for group in found for file in group] == list(files)
        return [len(group) for group in found]

    side_by_side = 2 * (os.cpu_count() or 1)
    assert groups() == []
    assert groups(*[2000] * 1000) == [256] * 3 + [232]  # while that is at least side_by_side
    assert groups(*[5 << 30] * (side_by_side + 1)) == [side_by_side, 1]
    assert groups(*[1000] * side_by_side, 64 << 20, 1) == [side_by_side, 2]


def test_one_call_copies_the_same_bytes_once(store: EmbeddedStore, tmp_path: Path) -> None:
    path = source_file(tmp_path / "src", "w.bin", _BYTES).real_path
    files = [FileToAdd(name=name, real_path=path, expected=_SHA256) for name in ("a.bin", "b.bin", "a.bin")]
    added = store.add_blobs(files, Quiet())
    assert [one.blob.name for one in added] == ["a.bin", "b.bin", "a.bin"]
    assert sum(one.bytes_written for one in set(added)) == 100_000
    assert len(store.all_paths()) == 2


def test_two_sources_of_the_same_bytes_become_one_object(store: EmbeddedStore, tmp_path: Path) -> None:
    files = [source_file(tmp_path / folder, "w.bin", _BYTES) for folder in ("one", "two")]
    added = store.add_blobs(files, Quiet())
    assert added[0].blob == added[1].blob
    assert store_entries(store.root) == {added[0].blob.store_path.base_name}


def test_a_file_with_other_bytes_than_expected_is_refused(store: EmbeddedStore, tmp_path: Path) -> None:
    good = source_file(tmp_path / "src", "good.bin", b"good")
    bad = source_file(tmp_path / "src", "bad.bin", b"bad")
    bad = FileToAdd(name="bad.bin", real_path=bad.real_path, expected=_SHA256)
    with pytest.raises(IntegrityError, match=f"bad.bin: expected sha256 {_SHA256.hex()}, found"):
        store.add_blobs([good, bad], Quiet())
    # What is right is not thrown away with it.
    assert [info.store_path.name for info in store.all_paths()] == ["good.bin"]
    assert store_entries(store.root) == {info.store_path.base_name for info in store.all_paths()}


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_valid_blob_that_is_not_whole_is_brought_again(store: EmbeddedStore, tmp_path: Path, damage: str) -> None:
    file = source_file(tmp_path / "src", "w.bin", _BYTES)
    blob = store.add_blobs([file], Quiet())[0].blob
    real_path = store.real_path(blob.store_path)
    real_path.chmod(0o644)
    if damage == "missing":
        real_path.unlink()
    else:
        os.truncate(real_path, 99_000)
    again = store.add_blobs([FileToAdd(name="w.bin", real_path=file.real_path, expected=_SHA256)], Quiet())[0]
    assert (again.blob, again.bytes_written) == (blob, 100_000)
    assert store.check(blob.store_path, Quiet()) == ()


def test_many_files_keep_their_order(store: EmbeddedStore, tmp_path: Path) -> None:
    files = [source_file(tmp_path / "src", f"{n}.bin", bytes([n]) * (100 - n)) for n in range(25)]
    progress = Quiet()
    added = store.add_blobs(files, progress)
    assert [one.blob.name for one in added] == [file.name for file in files]
    assert [one.blob.size for one in added] == [100 - n for n in range(25)]
    assert progress.done == sum(100 - n for n in range(25))


def test_a_source_that_is_not_there_is_named(store: EmbeddedStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"No such file or directory\n  at {tmp_path}/gone"):
        store.add_blobs([FileToAdd(name="gone", real_path=tmp_path / "gone")], Quiet())
    with pytest.raises(StoreError, match="not a regular file"):
        store.add_blobs([FileToAdd(name="folder", real_path=tmp_path)], Quiet())


def test_a_damaged_blob_is_replaced_but_only_by_its_own_bytes(store: EmbeddedStore, tmp_path: Path) -> None:
    file = source_file(tmp_path / "src", "w.bin", _BYTES)
    blob = store.add_blobs([file], Quiet())[0].blob
    info = store.path_info(blob.store_path)
    real_path = store.real_path(blob.store_path)
    real_path.chmod(0o644)
    real_path.write_bytes(b"v" * 100_000)
    assert len(store.check(blob.store_path, Quiet())) == 1
    with pytest.raises(IntegrityError):
        store.replace_blob(source_file(tmp_path / "src", "other.bin", b"v" * 100_000), blob, Quiet())
    store.replace_blob(file, blob, Quiet())
    assert store.check(blob.store_path, Quiet()) == ()
    assert store.path_info(blob.store_path) == info
    real_path.unlink()
    store.replace_blob(file, blob, Quiet())
    assert store.check(blob.store_path, Quiet()) == ()
