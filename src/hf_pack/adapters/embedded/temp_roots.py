"""The temporary roots of this process: what it adds or uses stays, whatever collector runs (Nix's ``gc.cc``).

The file ``temproots/<pid>`` holds ``/nix/store/…`` texts, each ended by NUL, and is locked for as long as the
process lives. When a collector holds the collector lock, the path is told to its socket as well, and the
answer means: it is not being deleted, and will not be.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hf_pack.adapters.embedded.gc_socket import socket_address
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.locks import is_still, open_lock, try_lock
from hf_pack.disk.staging import names_in
from hf_pack.formats.store_path import StorePath

_RETRY_SECONDS = 0.005
_COLLECTOR_GONE = frozenset({errno.ECONNREFUSED, errno.ENOENT, errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})


class TempRoots:
    """One for each process and store; :func:`of_this_process` finds it. Thread-safe."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._turn = threading.Lock()
        self._sessions = 0
        self._file: int | None = None
        self._known: set[StorePath] = set()
        self._collector: socket.socket | None = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Roots stay until the last of the open sessions ends."""
        with self._turn:
            self._sessions += 1
        try:
            yield
        finally:
            with self._turn:
                self._sessions -= 1
                if self._sessions == 0 and self._file is not None:
                    # The file itself stays until the process ends: a collector may be about to unlink a file
                    # of this name that it found stale, and must not meet a second one.
                    with contextlib.suppress(OSError):  # on a disk that fails they stay until the process ends
                        os.ftruncate(self._file, 0)
                    self._known.clear()

    def add(self, store_paths: Iterable[StorePath]) -> None:
        """Protect these paths, valid or not. At return no collector deletes them any more."""
        with self._turn:
            self._announce(sorted(set(store_paths) - self._known))

    def hold(self, store_paths: Iterable[StorePath]) -> None:
        """Protect these paths for as long as the process lives, also as the program that it becomes by ``exec``.

        Whoever collects, in another container or on another host, cannot look into the process; the lock on its file
        it sees wherever it sees the store.
        """
        with self._turn:
            self._sessions += 1  # never ends
            self._announce(sorted(set(store_paths)))
            if self._file is not None:
                os.set_inheritable(self._file, True)

    def hand_over(self, store_paths: Iterable[StorePath]) -> None:
        """Tell again of paths that a permanent root was just made for.

        A collector may have looked for permanent roots before that, and look for temporary ones only after
        the session ended. What it is told directly it does not forget.
        """
        with self._turn:
            self._announce(sorted(set(store_paths)))

    def _announce(self, store_paths: list[StorePath]) -> None:
        if store_paths:
            if self._file is None:
                self._file = self._open_file()
            self._write(self._file, store_paths)
            self._known.update(store_paths)

    def _write(self, file: int, store_paths: list[StorePath]) -> None:
        # First, for the collectors that begin from now on. (Nix writes last, and has a gap: the collector that
        # it told may end, and the next one read the file, before it has written.)
        _append(file, "".join(f"{path}\0" for path in store_paths).encode())
        gc_lock = open_lock(self._layout.gc_lock)
        try:
            # Then for the one that runs, unless none does.
            while not try_lock(gc_lock, exclusive=False) and not self._tell_collector(store_paths):
                # It has its lock but not yet its socket, or just ended.
                time.sleep(_RETRY_SECONDS)
        finally:
            os.close(gc_lock)

    def _tell_collector(self, store_paths: list[StorePath]) -> bool:
        """On one connection, which stays: Nix's collector aborts when it is given a new one while it still keeps
        account of one that ended at once under the same number (its ``connections``, up to 2.34 at least)."""
        try:
            if self._collector is None:
                self._collector = self._connected()
            for path in store_paths:
                self._collector.sendall(f"{path}\n".encode())
                if self._collector.recv(1) != b"1":
                    break
            else:
                return True
        except OSError as error:
            if error.errno not in _COLLECTOR_GONE:
                raise
        if self._collector is not None:
            self._collector.close()
            self._collector = None
        return False

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_address(self._layout.gc_socket) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_file(self) -> int:
        pid = os.getpid()
        for attempt in count():
            # Only another container, with process ids of its own, can hold a file of our name.
            path = self._layout.temp_roots / (f"{pid}-{attempt}" if attempt else str(pid))
            while True:
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                if not try_lock(file, exclusive=True):
                    os.close(file)
                    if self._being_collected(path):
                        continue
                    break
                if is_still(path, file):
                    os.ftruncate(file, 0)
                    atexit.register(_remove, path, pid)
                    return file
                os.close(file)
        raise AssertionError("unreachable")

    def _being_collected(self, path: Path) -> bool:
        """Whether the lock on a fresh or stale file was a collector's, who tests it for a moment."""
        time.sleep(_RETRY_SECONDS)
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            return try_lock(file, exclusive=True)
        finally:
            os.close(file)


# Nix's protocol has one file for each process and store, so two stores opened at one root share it.
_of_this_process: dict[tuple[int, Path], TempRoots] = {}
_of_this_process_turn = threading.Lock()


def of_this_process(layout: StoreLayout) -> TempRoots:
    """The temporary roots that this process has in the store; a forked child gets its own."""
    with _of_this_process_turn:
        return _of_this_process.setdefault((os.getpid(), layout.root), TempRoots(layout))


def read_all(layout: StoreLayout, *, remove_stale: bool) -> Iterator[tuple[Path, str]]:
    """The temporary roots of all living processes: the file, and the text of the path.

    ``remove_stale`` (for a collector, which holds the lock) removes the files of dead processes.
    """
    for name in sorted(names_in(layout.temp_roots)):
        path = layout.temp_roots / name
        try:
            file = os.open(path, (os.O_RDWR if remove_stale else os.O_RDONLY) | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except PermissionError:
            if remove_stale:
                raise
            continue
        try:
            if try_lock(file, exclusive=remove_stale):
                if remove_stale:
                    path.unlink(missing_ok=True)
                    os.write(file, b"d")
                continue
            with open(file, "rb", closefd=False) as contents:
                *texts, _unfinished = contents.read().split(b"\0")
        finally:
            os.close(file)
        for text in texts:
            yield path, text.decode("utf-8", "replace")


def _append(file: int, text: bytes) -> None:
    """Write all of it, or nothing: a disk that gets full takes a part, and refuses only the next one."""
    size = os.fstat(file).st_size
    try:
        while text:
            text = text[os.write(file, text) :]
    except OSError:
        os.ftruncate(file, size)  # a part would spoil the root that comes next
        raise


def _remove(path: Path, pid: int) -> None:
    if os.getpid() == pid:
        with contextlib.suppress(OSError):
            path.unlink()
