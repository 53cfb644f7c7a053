"""Bytes that a server sends: in memory, in a file on disk, or declared and made up on the way.

Every content has a ``size``, gives small pieces with ``read`` and writes a range to a socket with ``send``, which
reports each piece's length as it leaves. A file leaves by ``sendfile``; nothing is held in memory.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_PIECE = 4 << 20
_ZEROS = memoryview(bytes(_PIECE))

Count = Callable[[int], None]


class Content(Protocol):
    """A run of bytes that can be sent in part."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` up to ``stop``, in memory: for small pieces."""
        ...

    def send(self, connection: socket.socket, start: int, stop: int, count: Count) -> None:
        """Writes the bytes from ``start`` up to ``stop``; OSError when the other side is gone."""
        ...

    def place(self, offset: int) -> int:
        """Where the byte at ``offset`` of the file lies in this content (-1: not in it)."""
        ...


class _Plain:
    """A content that is the file itself."""

    __slots__ = ()

    def place(self, offset: int) -> int:
        return offset


@dataclass(frozen=True, slots=True)
class BytesContent(_Plain):
    """Bytes in memory."""

    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]

    def send(self, connection: socket.socket, start: int, stop: int, count: Count) -> None:
        view = memoryview(self.data)
        for position in range(start, stop, _PIECE):
            piece = view[position : min(position + _PIECE, stop)]
            connection.sendall(piece)
            count(len(piece))


@dataclass(frozen=True, slots=True)
class DiskFile(_Plain):
    """A file on disk, read anew for every request. Its ``sha256`` (64 hex digits) is believed, so it is not hashed."""

    path: Path
    sha256: str
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.path.stat().st_size)

    def read(self, start: int, stop: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def send(self, connection: socket.socket, start: int, stop: int, count: Count) -> None:
        with self.path.open("rb") as file:
            while start < stop:
                sent = os.sendfile(connection.fileno(), file.fileno(), start, min(_PIECE, stop - start))
                if not sent:
                    raise ValueError(f"{self.path} is shorter than {self.size} bytes")
                start += sent
                count(sent)


@dataclass(frozen=True, slots=True)
class DeclaredFile(_Plain):
    """A large file of which only the ``header`` is stored; zeros follow up to ``size``.

    ``sha256`` is what the Hub says the hash is: 64 hex digits, believed. It need not be the hash of these bytes.
    """

    size: int
    sha256: str
    header: bytes = b""

    def read(self, start: int, stop: int) -> bytes:
        stored = self.header[start:stop]
        return stored + bytes(stop - start - len(stored))

    def send(self, connection: socket.socket, start: int, stop: int, count: Count) -> None:
        if start < len(self.header):
            stored = self.header[start:stop]
            connection.sendall(stored)
            count(len(stored))
            start += len(stored)
        for position in range(start, stop, _PIECE):
            piece = _ZEROS[: min(_PIECE, stop - position)]
            connection.sendall(piece)
            count(len(piece))


Source = bytes | Path | DiskFile | DeclaredFile
"""What a test gives for a file: its bytes, where they lie on disk (hashed once), or what to say about them."""


def content_of(source: Source) -> BytesContent | DiskFile | DeclaredFile:
    """The content that a test's source stands for."""
    if isinstance(source, bytes):
        return BytesContent(source)
    if isinstance(source, Path):
        with source.open("rb") as file:
            return DiskFile(source, hashlib.file_digest(file, "sha256").hexdigest())
    return source
