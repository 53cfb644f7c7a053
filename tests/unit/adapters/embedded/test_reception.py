from __future__ import annotations

import os
import resource
import stat
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.embedded_stores import NEEDS_NIX, Quiet, add_bytes, assert_sound, nix_path_info, store_entries

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import front_hash, partial_file, received_parts, reception, write_back
from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob
from hf_pack.ports import ByteRange, Reception

MIB = 1 << 20
PART = 1000
CONTENTS = (bytes(range(251)) * 60)[: 14 * PART + 77]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_parts, "_PART", PART)
    monkeypatch.setattr(received_parts, "_WHOLE", PART)
    monkeypatch.setattr(front_hash, "_CHUNK", 300)
    monkeypatch.setattr(partial_file, "_CHUNK", 170)
    monkeypatch.setattr(write_back, "_BATCH", 5 * PART)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def blob_of(contents: bytes, name: str = "model.bin") -> Blob:
    return Blob(name=name, sha256=Hash.sha256_of(contents), size=len(contents))


def send(arriving: Reception, parts: Iterable[ByteRange], contents: bytes = CONTENTS, *, step: int = 130) -> int:
    """Send these parts; returns the number of bytes sent."""
    sent = 0
    for part in parts:
        for offset in range(part.offset, part.offset + part.size, step):
            piece = contents[offset : min(offset + step, part.offset + part.size)]
            arriving.write(offset, piece)
            sent += len(piece)
    return sent


def receive(store: EmbeddedStore, contents: bytes = CONTENTS, name: str = "model.bin") -> int | None:
    """Receive a blob as a transport would; returns the bytes sent, None when there was nothing to do."""
    with store.receive(blob_of(contents, name)) as arriving:
        if arriving is None:
            return None
        sent = send(arriving, arriving.missing, contents)
        assert arriving.finish().blob == blob_of(contents, name)
        return sent


def folder(store: EmbeddedStore, contents: bytes = CONTENTS) -> Path:
    return store.root / "nix/var/hf-pack/receiving" / Hash.sha256_of(contents).hex()


def assert_received(store: EmbeddedStore, contents: bytes = CONTENTS, name: str = "model.bin") -> None:
    path = blob_of(contents, name).store_path
    info = store.path_info(path)
    assert info is not None
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(nar.NarFile(contents))
    assert store.real_path(path).read_bytes() == contents
    status = store.real_path(path).lstat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o444, 1_000_000_000)
    assert store.check(path, Quiet()) == ()


def assert_nothing_left(store: EmbeddedStore) -> None:
    own = store.root / "nix/var/hf-pack"
    assert list((own / "receiving").iterdir()) == []
    assert list((own / "staging").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 14 * PART + 77])
def test_a_blob_is_received(store: EmbeddedStore, size: int) -> None:
    contents = CONTENTS[:size]
    with store.receive(blob_of(contents)) as arriving:
        assert arriving is not None
        parts = arriving.missing
        assert [part.offset for part in parts] == list(range(0, size, PART))
        assert sum(part.size for part in parts) == size
        assert all(part.size == PART for part in parts[:-1])
        assert not store.real_path(blob_of(contents).store_path).exists()
        send(arriving, parts, contents)
        assert arriving.missing == ()
        added = arriving.finish()
    assert added.blob == blob_of(contents)
    assert (added.bytes_read, added.bytes_written) == (size, size)
    assert_received(store, contents)
    assert store.real_path(added.blob.store_path).lstat().st_nlink == 1
    assert_nothing_left(store)


@pytest.mark.usefixtures("small_parts")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_parts_come_in_any_order_and_with_breaks(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(CONTENTS)))
    contents = CONTENTS[:size]
    store = EmbeddedStore(tmp_path_factory.mktemp("store"))
    blob = blob_of(contents)
    written = 0
    while store.path_info(blob.store_path) is None:
        with store.receive(blob) as arriving:
            assert arriving is not None
            before = arriving.missing
            for part in data.draw(st.permutations(before)):
                taken = part.size - data.draw(st.integers(0, part.size // 3))
                step = data.draw(st.integers(50, 1500))
                written += send(arriving, [ByteRange(part.offset, taken)], contents, step=step)
            if not arriving.missing:
                arriving.finish()
    assert written == size  # nothing was asked for twice
    assert_received(store, contents)
    store.close()


def test_threads_send_different_parts(store: EmbeddedStore) -> None:
    threads = threading.active_count()
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda part: send(arriving, [part], step=11), reversed(arriving.missing)))
        arriving.finish()
    assert_received(store)
    assert threading.active_count() == threads


def test_threads_send_the_same_parts(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: send(arriving, arriving.missing, step=17), range(4)))
        added = arriving.finish()
    assert added.bytes_written == len(CONTENTS)
    assert_received(store)


def test_one_write_may_hold_several_parts(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        arriving.write(0, memoryview(CONTENTS)[:300])
        arriving.write(300, memoryview(CONTENTS)[300:])
        arriving.finish()
    assert_received(store)


def test_bytes_that_are_here_are_not_written_again(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        arriving.write(0, CONTENTS[:600])
        # The digests may have passed these already: other bytes must not come to lie there.
        arriving.write(0, b"wrong" * 100 + CONTENTS[500:700])
        send(arriving, arriving.missing)
        arriving.write(PART, b"w" * PART)
        assert arriving.finish().bytes_written == len(CONTENTS)
    assert_received(store)


def test_what_cannot_be_is_refused(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        for offset, data in [
            (-1, b"x"),
            (len(CONTENTS), b"x"),
            (len(CONTENTS) - 1, b"xy"),
            (1, b"x"),
            (PART + 1, b"x"),
        ]:
            with pytest.raises(ValueError, match=r"do not lie in|leave a gap"):
                arriving.write(offset, data)
        arriving.write(0, b"")
        send(arriving, arriving.missing[1:])
        with pytest.raises(ValueError, match=r"model\.bin is not complete: bytes from 0 on are missing"):
            arriving.finish()
        send(arriving, arriving.missing)
        arriving.finish()
        with pytest.raises(ValueError, match="not being received"):
            arriving.write(0, CONTENTS[:1])
    assert_received(store)


def test_an_error_leaves_what_is_here(store: EmbeddedStore) -> None:
    with pytest.raises(OSError, match="reset"), store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[2:7])
        arriving.write(0, CONTENTS[:421])
        raise ConnectionError("reset")  # the caller's error stays what it is
    assert store.all_paths() == ()
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        assert arriving.missing[0] == ByteRange(421, PART - 421)
        sent = send(arriving, arriving.missing)
        assert sent == len(CONTENTS) - 5 * PART - 421
        assert arriving.finish().bytes_written == sent
    assert_received(store)
    assert_nothing_left(store)


def test_a_reception_without_a_byte_leaves_nothing(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)):
        pass
    assert_nothing_left(store)


def test_wrong_bytes_are_forgotten_and_may_come_anew(store: EmbeddedStore) -> None:
    wrong = CONTENTS[:5000] + b"?" + CONTENTS[5001:]
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        for _ in range(2):
            send(arriving, arriving.missing, wrong)
            with pytest.raises(
                IntegrityError,
                match=f"expected sha256 {Hash.sha256_of(CONTENTS).hex()}, found {Hash.sha256_of(wrong).hex()}",
            ):
                arriving.finish()
            assert store.all_paths() == ()
            assert store_entries(store.root) == set()
            assert sum(part.size for part in arriving.missing) == len(CONTENTS)
        send(arriving, arriving.missing)
        assert arriving.finish().bytes_written == 3 * len(CONTENTS)
    assert_received(store)


def test_wrong_bytes_leave_nothing(store: EmbeddedStore) -> None:
    with pytest.raises(IntegrityError), store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing, bytes(len(CONTENTS)))
        arriving.finish()
    assert_nothing_left(store)
    assert receive(store) == len(CONTENTS)


def test_discarding_forgets_all(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[3:], bytes(len(CONTENTS)))
        arriving.discard()
        assert sum(part.size for part in arriving.missing) == len(CONTENTS)
        send(arriving, arriving.missing)
        arriving.finish()
    assert_received(store)


@pytest.mark.parametrize("harm", ["data is gone", "data is short", "parts is gone", "parts is short", "data is a link"])
def test_what_is_not_as_it_was_left_begins_anew(store: EmbeddedStore, tmp_path: Path, harm: str) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[1:])
    what, how = folder(store) / harm.split()[0], harm.split(maxsplit=2)[2]
    kept = what.read_bytes()
    if how != "short":
        what.unlink()
    if how == "short":
        os.truncate(what, what.stat().st_size - 1)
    if how == "a link":
        (tmp_path / "elsewhere").write_bytes(kept)
        what.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreError):
            receive(store)
        what.unlink()
    assert receive(store) == len(CONTENTS)
    assert_received(store)


def test_bytes_lost_with_the_power_are_found(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[1:])
    with (folder(store) / "data").open("r+b") as data:
        data.seek(8 * PART)
        data.write(bytes(PART))
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing)
        with pytest.raises(IntegrityError):
            arriving.finish()
        assert send(arriving, arriving.missing) == len(CONTENTS)
        arriving.finish()
    assert_received(store)


def test_a_blob_that_is_here_is_not_received(store: EmbeddedStore, tmp_path: Path) -> None:
    assert receive(store) == len(CONTENTS)
    assert receive(store) is None
    assert receive(store, name="other-name.bin") is None
    assert_received(store, name="other-name.bin")
    paths = [store.real_path(blob_of(CONTENTS, name).store_path) for name in ("model.bin", "other-name.bin")]
    assert paths[0].samefile(paths[1])
    assert_nothing_left(store)


def test_a_blob_that_came_another_way_ends_its_reception(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[1:])
        add_bytes(store, tmp_path, "model.bin", CONTENTS)
    assert receive(store) is None
    assert_nothing_left(store)


def test_a_blob_that_came_another_way_meanwhile(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing)
        add_bytes(store, tmp_path, "model.bin", CONTENTS)
        arriving.finish()
    assert_received(store)
    assert_nothing_left(store)


def test_one_thread_receives_and_the_others_find_it_valid(store: EmbeddedStore) -> None:
    names = [f"{index % 2}.bin" for index in range(6)]
    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(lambda name: receive(store, name=name), names))
    assert sorted(sent, key=str) == [len(CONTENTS), *[None] * 5]
    for name in set(names):
        assert_received(store, name=name)


def test_where_links_are_refused_it_is_moved(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_named: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert receive(store) == len(CONTENTS)
    assert_received(store)
    assert_nothing_left(store)


def test_too_little_room_for_the_rest_is_said_at_once(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = blob_of(CONTENTS)
    with store.receive(blob) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[:6])
    monkeypatch.setattr(reception, "free_bytes", lambda _place: 8076)
    with pytest.raises(StoreError, match="the store needs 8,077 bytes, 8,076 are free") as caught:
        store.receive(blob).__enter__()
    assert "hf-pack gc" in caught.value.hint
    monkeypatch.setattr(reception, "free_bytes", lambda _place: 8077)
    assert receive(store) == 8077


def test_a_file_larger_than_the_file_system_takes(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(store)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    monkeypatch.setattr(received_parts, "_WHOLE", 1 << 62)
    with pytest.raises(StoreError, match="too large"):
        store.receive(Blob(name="huge.bin", sha256=Hash.sha256_of(b""), size=1 << 62)).__enter__()
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def age(receiving: Path, seconds: float) -> None:
    changed = (receiving / "parts").stat().st_mtime - seconds
    os.utime(receiving / "parts", (changed, changed))


def test_a_collector_leaves_receptions_that_are_open_or_young(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[1:])
        age(folder(store), reception.KEPT_SECONDS + 60)
        other = EmbeddedStore(store.root)
        other.collect_garbage(dry_run=False)
        assert (folder(store) / "data").exists()
    age(folder(store), -120)
    store.collect_garbage(dry_run=False)
    assert receive(store) == PART
    assert_received(store)


def test_a_collector_removes_receptions_that_were_given_up(store: EmbeddedStore) -> None:
    with store.receive(blob_of(CONTENTS)) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[1:])
    age(folder(store), reception.KEPT_SECONDS + 60)
    foreseen = store.collect_garbage(dry_run=True)
    assert (folder(store) / "data").exists()
    assert foreseen.freed >= len(CONTENTS) - PART
    assert store.collect_garbage(dry_run=False) == foreseen
    assert_nothing_left(store)
    assert receive(store) == len(CONTENTS)


def test_a_blob_that_was_just_received_is_kept_from_a_collector(store: EmbeddedStore) -> None:
    with store.session():
        assert receive(store) == len(CONTENTS)
        assert EmbeddedStore(store.root).collect_garbage(dry_run=False).deleted == ()
        assert_received(store)
    assert store.collect_garbage(dry_run=False).deleted == (blob_of(CONTENTS).store_path,)


def test_descriptors_and_threads_are_given_back(store: EmbeddedStore) -> None:
    receive(store, b"first")
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    receive(store)
    with store.receive(blob_of(CONTENTS[1:])) as arriving:
        assert arriving is not None
        send(arriving, arriving.missing[4:9], CONTENTS[1:])
        arriving.discard()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


@pytest.mark.nix
@NEEDS_NIX[1]
def test_real_nix_takes_what_was_received(store: EmbeddedStore) -> None:
    receive(store)
    receive(store, b"")
    receive(store, name="again.bin")
    assert_sound(store.root)
    for contents, name in [(CONTENTS, "model.bin"), (b"", "model.bin"), (CONTENTS, "again.bin")]:
        blob = blob_of(contents, name)
        found = nix_path_info(store.root, blob.store_path)
        assert found["ca"] == f"fixed:{blob.sha256.nix_text()}"
        assert found["narHash"] == nar.hash_and_size(nar.NarFile(contents))[0].sri()


_GIB_SCRIPT = """
import hashlib, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob

piece = bytes(range(256)) * 4096
digest = hashlib.sha256()
for _ in range(1024):
    digest.update(piece)
blob = Blob(name="gib.bin", sha256=Hash.from_hex(digest.hexdigest()), size=1 << 30)

def send(part):
    for offset in range(part.offset, part.offset + part.size, len(piece)):
        arriving.write(offset, piece)

with EmbeddedStore(Path(sys.argv[1])).receive(blob) as arriving:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, arriving.missing))
    arriving.finish()
"""


def _peak_memory(*arguments: str) -> int:
    """The most memory in KiB that a Python process needs; it must succeed."""
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ)
    _pid, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_maxrss


def test_a_gib_takes_little_memory(tmp_path: Path) -> None:
    imports = "\n".join(line for line in _GIB_SCRIPT.splitlines() if line.startswith(("import", "from")))
    assert _peak_memory("-c", _GIB_SCRIPT, str(tmp_path / "root")) - _peak_memory("-c", imports) < 16 * 1024


def test_a_directory_that_comes_and_goes_is_held_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "receiving" / "blob"

    def hold_and_remove(_: int) -> None:
        for _ in range(300):
            lock = reception._hold(folder)
            reception._remove(folder)
            os.close(lock)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(hold_and_remove, range(6)))
    assert not folder.exists()


def test_a_file_where_the_directory_should_be_is_said(store: EmbeddedStore) -> None:
    blob = blob_of(CONTENTS)
    place = store.root / "nix" / "var" / "hf-pack" / "receiving"
    place.mkdir(parents=True)
    (place / blob.sha256.hex()).write_bytes(b"")
    with pytest.raises(StoreError, match="File exists"), store.receive(blob):
        raise AssertionError("nothing can be received there")
