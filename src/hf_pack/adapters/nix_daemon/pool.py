"""Connections to one daemon, as many as are in use at once, kept for the next use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from hf_pack.adapters.nix_daemon.connecting import OpenRoute
from hf_pack.adapters.nix_daemon.connection import Connection
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.routes import Route
from hf_pack.adapters.nix_daemon.wire import WireError


class Pool:
    """Thread-safe. A connection on which anything failed is not used again."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._turn = Lock()
        self._idle: list[OpenRoute] = []
        self._lent: set[OpenRoute] = set()
        self._first = Lock()
        self._is_known_good = False

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """A connection for one piece of work. Raises DaemonGoneError."""
        taken = self._take()
        try:
            yield taken.connection
        except WireError as error:
            self._drop(taken)
            raise DaemonGoneError(f"the Nix daemon's answer is not understood: {error}") from error
        except BaseException:
            self._drop(taken)
            raise
        with self._turn:
            self._lent.discard(taken)
            self._idle.append(taken)

    def close(self) -> None:
        """Hang up on all connections that nobody uses; with them go their temporary roots."""
        with self._turn:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def abort(self) -> None:
        """Make all work that waits for the daemon fail."""
        with self._turn:
            lent = tuple(self._lent)
        for connection in lent:
            connection.abort()

    def _take(self) -> OpenRoute:
        with self._turn:
            taken = self._idle.pop() if self._idle else None
        if taken is None:
            taken = self._open()
        with self._turn:
            self._lent.add(taken)
        return taken

    def _open(self) -> OpenRoute:
        if self._is_known_good:
            return OpenRoute(self._route)
        # One at first: Nix makes a store that is not there yet, and two of it would meet at that.
        with self._first:
            opened = OpenRoute(self._route)
            self._is_known_good = True
            return opened

    def _drop(self, taken: OpenRoute) -> None:
        with self._turn:
            self._lent.discard(taken)
        taken.close()
