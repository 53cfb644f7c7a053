"""The socket on which a running collector learns of new temporary roots (Nix's ``gc.cc``).

A client sends the texts of store paths, each ended by a newline, and reads one byte ``1`` for each.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_ADDRESS = 100  # sun_path has 108 bytes on Linux, 104 on macOS
_LONGEST_LINE = 4096


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for the socket's path that fits into the kernel's structure."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextmanager
def serving(path: Path, protect: Callable[[str], None]) -> Iterator[None]:
    """Answer clients until the end of the block; ``protect`` gets each line and returns when it is safe.

    It is called from several threads. Only one collector serves at a time: the caller holds the lock.
    """
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with socket_address(path) as address:
            listener.bind(address)
        path.chmod(0o666)
        listener.listen(64)
        clients: set[socket.socket] = set()
        turn = threading.Lock()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    client, _address = listener.accept()
                except OSError:
                    return
                with turn:
                    clients.add(client)
                    threads.append(thread := threading.Thread(target=answer, args=(client,), daemon=True))
                thread.start()

        def answer(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                lines = client.makefile("rb")
                while (line := lines.readline(_LONGEST_LINE)).endswith(b"\n"):
                    protect(line[:-1].decode("utf-8", "replace"))
                    client.sendall(b"1")
            with turn:
                clients.discard(client)

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            with turn:
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
