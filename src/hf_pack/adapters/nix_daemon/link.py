"""The machine's store as what adds to it sees it: connections, where objects really lie, what is protected."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.pool import Pool
from hf_pack.adapters.nix_daemon.routes import Route
from hf_pack.disk import objects
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.model.path_info import PathInfo

_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE of linux/time.h: the one that stamps files, a tick behind the other


def file_clock_ns() -> int:
    """Nanoseconds since the epoch, by the clock that stamps files."""
    return time.clock_gettime_ns(_COARSE_CLOCK)


class Link:
    """Thread-safe. Connections that ask are kept; those that add or protect end with the last session.

    A daemon protects what a connection added or named for as long as the connection lasts.
    """

    def __init__(self, route: Route) -> None:
        self.real_store_dir = route.real_store_dir
        self.asking = Pool(route)
        self.adding = Pool(route)
        self._turn = RLock()
        self._sessions = 0

    @property
    def is_chroot(self) -> bool:
        """Whether objects lie elsewhere than their store paths say."""
        return str(self.real_store_dir) != STORE_DIR

    def real_path(self, store_path: StorePath) -> Path:
        """Where the object lies, or would lie."""
        return self.real_store_dir / store_path.base_name

    def close(self) -> None:
        """Hang up; the next use connects again."""
        self.asking.close()
        self.adding.close()

    @contextmanager
    def session(self) -> Iterator[None]:
        """What is added or named within it is protected until the last open session ends."""
        with self._turn:
            self._sessions += 1
        try:
            yield
        finally:
            with self._turn:
                self._sessions -= 1
                if self._sessions == 0:
                    self.adding.close()

    def is_new(self, store_path: StorePath, started_ns: int) -> bool:
        """Whether the object was made since then (:func:`file_clock_ns`); the daemon does not say if it had it."""
        return self.real_path(store_path).lstat().st_ctime_ns >= started_ns

    def protect(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """Keep these from collectors during the session, valid or not; returns those that are valid."""
        wanted = sorted(set(store_paths))
        if not wanted:
            return frozenset()
        with self.adding.lend() as connection:
            if self._sessions:
                for store_path in wanted:
                    operations.add_temp_root(connection, store_path)
            return operations.query_valid_paths(connection, wanted)

    def info(self, store_path: StorePath) -> PathInfo | None:
        """What the store knows of a path."""
        with self.asking.lend() as connection:
            return operations.query_path_info(connection, store_path)

    def present(self, store_path: StorePath) -> PathInfo | None:
        """What the store knows of a path that is protected now, is valid, and is there with the right length."""
        if store_path not in self.protect([store_path]):
            return None
        info = self.info(store_path)
        return info if info is not None and objects.is_whole(self.real_path(store_path), info) else None
