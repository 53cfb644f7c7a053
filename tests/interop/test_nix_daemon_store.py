"""The machine's store through Nix's own daemon: what it accepts from whom, killed clients, several at once.

It is a chroot store each time, so that the machine's own is not touched.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.daemon_stores import chroot_environment, chroot_store, run_as, socket_daemon
from tests.embedded_stores import (
    NEEDS_NIX,
    NEEDS_ROOT,
    Quiet,
    assert_sound,
    linked_plan,
    nix_lines,
    self_contained_plan,
    source_file,
    store_entries,
)
from tests.end_to_end import NOBODY, STORAGES, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.nix_daemon.store import NixDaemonStore
from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob
from hf_pack.ports import FileToAdd

pytestmark = [*NEEDS_NIX, pytest.mark.usefixtures("every_nix")]

MIB = 1 << 20
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user reaches, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        directory.chmod(0o755)
        yield directory


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.mark.parametrize("storage", STORAGES)
def test_the_command_builds_the_same_paths_as_into_an_embedded_store(
    place: Place, tmp_path: Path, storage: str
) -> None:
    root = tmp_path / "machine"
    machine = {**chroot_environment(root), "XDG_STATE_HOME": str(tmp_path / "state"), "HF_PACK_STORE": "daemon"}
    embedded = place.package(tiny_model(shards=3), "tiny", storage=storage)
    (place.workspace / "result-tiny").unlink()
    printed = place.run("build", "tiny", env=machine)
    assert printed.strip() == embedded.store_path
    assert nix_lines(root, "--query", "--references", embedded.store_path) == embedded.references
    assert_sound(root)
    assert place.run("path", "tiny", env=machine).strip() == f"{root}{embedded.store_path}"
    place.run("verify", "tiny", env=machine)
    assert embedded.store_path in place.run("list", env=machine)
    # What is self-contained needs no blobs beside it.
    blobs = [blob["store_path"] for blob in place.json("plan", "tiny")["blobs"]] if storage == "linked" else []
    assert store_entries(root) == {Path(path).name for path in (embedded.store_path, *blobs)}
    assert place.run("gc", env=machine) == ""
    # Nix's own collector keeps what the result and the lock name.
    nix_lines(root, "--gc")
    assert nix_lines(root, "--check-validity", embedded.store_path, *blobs) == []
    (place.workspace / "result-tiny").unlink()
    (place.workspace / "models" / "tiny.lock").unlink()
    deleted = place.run("gc", "--dry-run", env=machine).split()
    assert deleted == sorted([embedded.store_path, *blobs])
    assert sorted(place.run("gc", env=machine).split()) == deleted


def test_a_second_build_reads_and_writes_nothing(place: Place, tmp_path: Path) -> None:
    machine = {**chroot_environment(tmp_path / "machine"), "XDG_STATE_HOME": str(tmp_path / "state")}
    cache = write_hf_cache(place.home / "cache", REPO_ID, COMMIT, tiny_model(shards=2))
    place.run("add", cache, "--name", "tiny", "--store", "daemon", "--storage", "self-contained", env=machine)
    place.run("build", "tiny", "--store", "daemon", env=machine)
    assert '"bytes_read": 0' in place.run("build", "tiny", "--store", "daemon", "--json", env=machine)
    assert '"bytes_written": 0' in place.run("build", "tiny", "--store", "daemon", "--json", env=machine)


@NEEDS_ROOT
def test_a_user_who_is_not_trusted_adds_what_proves_itself(open_directory: Path) -> None:
    contents = os.urandom(3 * MIB)
    source = source_file(open_directory / "source", "w.bin", contents)
    state = open_directory / "state"
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    with socket_daemon(open_directory) as environ:

        def work() -> None:
            with NixDaemonStore(state, environ) as store, store.session():
                blob = store.add_blobs([source], Quiet())[0].blob
                linked = store.add_tree(linked_plan("linked", [blob]), Quiet()).info
                whole = store.add_tree(self_contained_plan("whole", [blob]), Quiet()).info
                assert store.check(linked.store_path, Quiet()) == store.check(whole.store_path, Quiet()) == ()
                store.replace_blob(source, blob, Quiet())
                with store.receive(replace_name(blob)) as reception:
                    assert reception is not None
                    reception.write(0, contents)
                    reception.finish()
                owner = state / "result-linked"
                owner.symlink_to(store.real_path(linked.store_path))
                store.add_root(owner, [linked.store_path])
                assert (linked.store_path, str(owner)) in {(root.store_path, root.owner) for root in store.roots()}

        assert run_as(NOBODY, work) == 0
        root = open_directory / "root"
        assert len(store_entries(root)) == 4
        assert_sound(root)
        with EmbeddedStore(root) as store:
            assert all(info.content_address for info in store.all_paths())
            assert {store.real_path(info.store_path).stat().st_uid for info in store.all_paths()} == {0}


def replace_name(blob: Blob) -> Blob:
    return Blob(name="received.bin", sha256=blob.sha256, size=blob.size)


@NEEDS_ROOT
def test_a_user_who_may_not_connect_is_told_so(open_directory: Path) -> None:
    with socket_daemon(open_directory) as environ:
        (open_directory / "socket").chmod(0o600)

        def work() -> None:
            with pytest.raises(StoreError, match="cannot be reached: Permission denied") as caught:
                NixDaemonStore(open_directory / "none", environ).all_paths()
            assert "nix-users" in caught.value.hint

        assert run_as(NOBODY, work) == 0


def test_a_daemon_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    environ = {"NIX_REMOTE": f"unix://{tmp_path}/none"}
    with pytest.raises(StoreError, match="cannot be reached: No such file") as caught:
        NixDaemonStore(tmp_path / "state", environ).all_paths()
    assert "start the Nix daemon" in caught.value.hint


def test_what_the_program_printed_is_in_the_error(tmp_path: Path) -> None:
    environ = {**chroot_environment(tmp_path), "NIX_REMOTE": "local?root=/proc/none"}
    with pytest.raises(StoreError, match="/proc/none"):
        NixDaemonStore(tmp_path / "state", environ).all_paths()


class KillsItself(Quiet):
    """A Progress that ends its process, as the machine's out-of-memory killer does."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def advance(self, size: int) -> None:
        super().advance(size)
        if self.done >= self._after:
            os.kill(os.getpid(), signal.SIGKILL)


def dead_and_buried(work: Callable[[], None]) -> None:
    """Run ``work`` in a process that is killed; returns when it and all that it started are gone."""

    def undertaker() -> None:
        ctypes.CDLL(None).prctl(_SUBREAPER, 1)
        if (child := os.fork()) == 0:
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        try:
            while True:
                os.wait()
        except ChildProcessError:
            sys.exit(0 if os.WIFSIGNALED(status) else 1)

    process = multiprocessing.get_context("fork").Process(target=undertaker)
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("after", [1, 20 * MIB, 40 * MIB])
def test_killed_in_the_middle_it_leaves_nothing_half_made(tmp_path: Path, after: int) -> None:
    """Nix keeps the first 32 MiB in memory, and then writes.

    It may take the end of the connection for the end of the contents: what that makes has a path of its own, and goes
    with the next collection.
    """
    root = tmp_path / "machine"
    file = source_file(tmp_path / "source", "w.bin", os.urandom(64 * MIB))
    small = source_file(tmp_path / "source", "small.bin", b"small")
    with chroot_store(root) as store:
        blob = store.add_blobs([small], Quiet())[0].blob
    wanted = Blob(name="w.bin", sha256=Hash.sha256_of(file.real_path.read_bytes()), size=64 * MIB)
    plan = self_contained_plan("whole", [wanted])

    def add() -> None:
        chroot_store(root).add_blobs([file], KillsItself(after))

    def add_tree() -> None:
        chroot_store(root).add_tree(plan, KillsItself(after))

    dead_and_buried(add)
    assert_sound(root)
    with chroot_store(root) as store, store.session():
        assert store.keep([wanted.store_path, blob.store_path]) == {blob.store_path}
        store.collect_garbage(dry_run=False)
        assert store_entries(root) == {blob.store_path.base_name}
        assert store.add_blobs([file], Quiet())[0].blob == wanted
        dead_and_buried(add_tree)
        assert_sound(root)
        tree = store.add_tree(plan, Quiet()).info.store_path
        assert store.compare(plan, tree) == ()
        store.collect_garbage(dry_run=False)
        assert store_entries(root) == {path.base_name for path in (blob.store_path, wanted.store_path, tree)}
    assert_sound(root)


def add_all(root: Path, files: tuple[FileToAdd, ...]) -> None:
    with chroot_store(root) as store, store.session():
        blobs = [added.blob for added in store.add_blobs(files, Quiet())]
        store.add_tree(linked_plan("tree", blobs), Quiet())
        store.add_tree(self_contained_plan("whole", blobs), Quiet())


def test_several_at_once_add_the_same_and_agree(tmp_path: Path) -> None:
    root = tmp_path / "machine"
    files = tuple(source_file(tmp_path / "source", f"{n}.bin", os.urandom(2 * MIB)) for n in range(4))
    assert chroot_store(root).all_paths() == ()  # the machine's store is there before anybody adds
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=add_all, args=(root, files)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(store_entries(root)) == 6
    assert_sound(root)


@NEEDS_ROOT
def test_two_users_at_once_add_the_same_and_agree(open_directory: Path) -> None:
    """Neither is trusted, and neither may write the store; each has its own state."""
    sources = [source_file(open_directory / "source", f"{index}.bin", os.urandom(MIB)) for index in range(4)]
    users = (NOBODY, NOBODY - 1)
    for uid in users:
        state = open_directory / f"state-{uid}"
        state.mkdir()
        os.chown(state, uid, uid)
    with socket_daemon(open_directory) as environ:

        def work(uid: int) -> None:
            with NixDaemonStore(open_directory / f"state-{uid}", environ) as store, store.session():
                blobs = [added.blob for added in store.add_blobs(sources, Quiet())]
                store.add_tree(linked_plan("linked", blobs), Quiet())
                store.add_tree(self_contained_plan("whole", blobs), Quiet())

        codes: list[int] = []
        # Not a pool: its threads would be joined by the forked processes at their end.
        threads = [Thread(target=lambda uid=uid: codes.append(run_as(uid, lambda: work(uid)))) for uid in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0, 0]
        root = open_directory / "root"
        assert len(store_entries(root)) == len(sources) + 2
        assert_sound(root)


def test_an_object_that_nix_added_is_found_and_not_read(tmp_path: Path) -> None:
    """As a fixed-output derivation leaves it, or a copy from a cache."""
    root = tmp_path / "machine"
    file = source_file(tmp_path / "source", "w.bin", b"w" * MIB)
    [path] = nix_lines(root, "--add-fixed", "sha256", str(file.real_path))
    with chroot_store(root) as store:
        added = store.add_blobs([file], Quiet())[0]
        assert (str(added.blob.store_path), added.bytes_written) == (path, 0)
        known = FileToAdd(name="w.bin", real_path=tmp_path / "gone", expected=added.blob.sha256)
        assert store.add_blobs([known], Quiet())[0].bytes_read == 0
