"""A way to a server on loopback that breaks after so many bytes went by, and stays broken until it is mended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass
class Way:
    """``passed`` counts the bytes to the server, or ``down`` from it; past ``limit`` all connections break, and
    ``broken`` is called once."""

    target: int = 0
    port: int = 0
    down: bool = False
    limit: int | None = None
    broken: Callable[[], None] = lambda: None
    passed: int = 0
    is_broken: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)
    open: list[socket.socket] = field(default_factory=list)

    def mend(self) -> None:
        """Let everything through, and count anew."""
        self.limit, self.passed, self.is_broken = None, 0, False

    def _passes(self, size: int) -> bool:
        with self.turn:
            if self.is_broken or (self.limit is not None and self.passed + size > self.limit):
                first, self.is_broken = not self.is_broken, True
                connections, self.open[:] = list(self.open), []
            else:
                self.passed += size
                return True
        if first:
            self.broken()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return False


@contextmanager
def a_way_to(target: int, *, down: bool = False) -> Iterator[Way]:
    """To a port of this machine."""
    way = Way(target=target, down=down)
    listener = socket.create_server(("127.0.0.1", 0))
    way.port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", way.target))
            except OSError:
                client.close()
                continue
            if way.is_broken:
                client.close()
                server.close()
                continue
            way.open += [client, server]
            up, back = (_all_passes, way._passes) if way.down else (way._passes, _all_passes)
            threading.Thread(target=carry, args=(client, server, up), daemon=True).start()
            threading.Thread(target=carry, args=(server, client, back), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield way
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _all_passes(_size: int) -> bool:
    return True


def carry(source: socket.socket, to: socket.socket, passes: Callable[[int], bool]) -> None:
    """Bytes one way, until either side ends or they may not pass."""
    with suppress(OSError):
        while (data := source.recv(_PIECE)) and passes(len(data)):
            to.sendall(data)
    for one in (source, to):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
