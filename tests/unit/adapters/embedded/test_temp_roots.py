from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from tests.embedded_stores import run_beside

from hf_pack.adapters.embedded import opening
from hf_pack.adapters.embedded.gc_socket import serving
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.temp_roots import TempRoots, of_this_process, read_all
from hf_pack.disk.locks import locked, open_lock, try_lock
from hf_pack.disk.staging import names_in
from hf_pack.formats.store_path import StorePath

_ONE, _TWO = StorePath("1" * 32, "one"), StorePath("2" * 32, "two")


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    layout = StoreLayout.at(tmp_path)
    opening.create(layout)
    return layout


def _texts(layout: StoreLayout) -> list[str]:
    return [text for _path, text in read_all(layout, remove_stale=False)]


def test_roots_last_until_the_last_session_ends(layout: StoreLayout) -> None:
    roots = of_this_process(layout)
    assert of_this_process(layout) is roots
    with roots.session():
        with roots.session():
            roots.add([_ONE])
        roots.add([_TWO, _ONE])
        assert _texts(layout) == [str(_ONE), str(_TWO)]
        assert (layout.temp_roots / str(os.getpid())).read_bytes() == f"{_ONE}\0{_TWO}\0".encode()
    assert _texts(layout) == []
    with roots.session():
        roots.add([_ONE])
        assert _texts(layout) == [str(_ONE)]


def test_a_write_that_was_cut_short_goes_on(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    roots = TempRoots(layout)
    with roots.session():
        roots.add([_ONE, _TWO])
        assert _texts(layout) == [str(_ONE), str(_TWO)]


@pytest.mark.parametrize("free", [0, 20, 60])
def test_a_disk_that_gets_full_is_an_error_and_no_lost_root(
    layout: StoreLayout, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    write, room = os.write, [free]

    def fill(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, data[: room[0]])
        room[0] -= written
        return written

    roots = TempRoots(layout)
    with roots.session():
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fill)
            with pytest.raises(OSError, match="No space left"):
                roots.add([_ONE, _TWO])
        roots.add([_ONE, _TWO])  # neither counts as told before
        assert _texts(layout) == [str(_ONE), str(_TWO)]


def test_the_file_of_a_dead_process_is_nothing(layout: StoreLayout) -> None:
    stale = layout.temp_roots / "1"
    stale.write_bytes(f"{_ONE}\0".encode())
    assert _texts(layout) == []
    assert stale.exists()
    assert list(read_all(layout, remove_stale=True)) == []
    assert not stale.exists()


def test_the_file_of_a_dead_process_of_our_id_is_taken_over(layout: StoreLayout) -> None:
    (layout.temp_roots / str(os.getpid())).write_bytes(f"{_ONE}\0".encode())
    roots = TempRoots(layout)
    with roots.session():
        roots.add([_TWO])
        assert _texts(layout) == [str(_TWO)]


def test_a_process_of_our_id_in_another_container_keeps_its_file(layout: StoreLayout) -> None:
    theirs = layout.temp_roots / str(os.getpid())
    theirs.write_bytes(f"{_ONE}\0".encode())
    lock = open_lock(theirs)
    assert try_lock(lock, exclusive=True)
    roots = TempRoots(layout)
    with roots.session():
        roots.add([_TWO])
        assert sorted(_texts(layout)) == [str(_ONE), str(_TWO)]
    os.close(lock)


def test_a_running_collector_is_told(layout: StoreLayout) -> None:
    told: list[str] = []
    roots = TempRoots(layout)
    with roots.session():
        with locked(layout.gc_lock, exclusive=True), serving(layout.gc_socket, told.append):
            roots.add([_ONE, _TWO])
            assert told == [str(_ONE), str(_TWO)]
            roots.add([_ONE])
            assert len(told) == 2
            roots.hand_over([_ONE])
            assert told[2:] == [str(_ONE)]
        # For those that come after it.
        assert set(_texts(layout)) == {str(_ONE), str(_TWO)}


def test_a_collector_is_told_on_one_connection_and_the_next_one_on_another(layout: StoreLayout) -> None:
    first: list[str] = []
    second: list[str] = []
    roots = TempRoots(layout)
    with roots.session():
        with locked(layout.gc_lock, exclusive=True), serving(layout.gc_socket, first.append):
            roots.add([_ONE])
            layout.gc_socket.unlink()  # whoever is not connected cannot connect
            roots.add([_TWO])
        with locked(layout.gc_lock, exclusive=True), serving(layout.gc_socket, second.append):
            roots.hand_over([_ONE])
    assert (first, second) == ([str(_ONE), str(_TWO)], [str(_ONE)])


def test_a_collector_without_a_socket_is_waited_for(layout: StoreLayout) -> None:
    roots = TempRoots(layout)
    done = threading.Event()

    def add() -> None:
        roots.add([_ONE])
        done.set()

    thread = threading.Thread(target=add)
    with locked(layout.gc_lock, exclusive=True):
        thread.start()
        assert not done.is_set()
    thread.join()
    assert done.is_set()


def _leave(root: str) -> None:
    layout = StoreLayout.at(Path(root))
    of_this_process(layout).add([_ONE])
    assert _texts(layout) == [str(_ONE)]
    os._exit(0)


def test_a_process_that_dies_leaves_no_roots(layout: StoreLayout) -> None:
    process = run_beside(_leave, str(layout.root))
    process.join()
    assert process.exitcode == 0
    assert _texts(layout) == []
    assert names_in(layout.temp_roots) == {str(process.pid)}
