"""The hashes of objects on disk, as Nix computes them, in bounded memory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from hf_pack.disk.fan_out import MIB, fan_out, fill_from, new_buffers
from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm

_CHUNK = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatHash:
    """A regular file: the sha256 of its bytes and of its NAR as a non-executable file, its size in bytes."""

    sha256: Hash
    nar_hash: Hash
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHash:
    """Any object: the sha256 of its NAR and the NAR's size in bytes."""

    nar_hash: Hash
    nar_size: int


class FlatHasher:
    """The two digests of a file of ``size`` bytes, each a sink of its own."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._flat = hashlib.sha256()
        self._nar = hashlib.sha256(nar.file_header(size))
        self.sinks = (self._flat.update, self._nar.update)

    def result(self) -> FlatHash:
        """Return the digests; the sinks got exactly ``size`` bytes before."""
        self._nar.update(nar.file_trailer(self._size))
        return FlatHash(
            sha256=Hash(HashAlgorithm.SHA256, self._flat.digest()),
            nar_hash=Hash(HashAlgorithm.SHA256, self._nar.digest()),
            size=self._size,
        )


def hash_flat(path: Path, progress: Callable[[int], None]) -> FlatHash:
    """Hash a regular file in one pass; ``progress`` gets the bytes done since its last call.

    Raises OSError: also when the file is no regular file (a link is not followed), or when it gets shorter
    while it is read.
    """
    fd = open_regular(path, follow=False)
    try:
        size = os.fstat(fd).st_size
        hasher = FlatHasher(size)
        buffers = new_buffers(4, _CHUNK)
        length = fan_out(partial(fill_from, fd), size, hasher.sinks, buffers=buffers, progress=progress, stop=Event())
    finally:
        os.close(fd)
    if length != size:
        raise OSError(errno.EIO, f"the file got shorter while it was read: {size} bytes, then {length}", str(path))
    return hasher.result()


def hash_tree(path: Path, progress: Callable[[int], None]) -> TreeHash:
    """Hash a file, link or directory as ``nix-store --dump | sha256sum`` would; no link is followed.

    A file is executable when its owner may execute it; nothing else of its mode counts. ``progress`` gets
    the bytes of file contents done since its last call. Raises OSError for what cannot be read and
    ``FormatError`` for what a NAR cannot hold: sockets, devices and pipes, names that Nix refuses, a file
    whose size changes while it is read.
    """
    nar_hash, nar_size = nar.hash_and_size(node_of(path, progress))
    return TreeHash(nar_hash=nar_hash, nar_size=nar_size)


@dataclass(frozen=True, slots=True)
class FileOnDisk(nar.NarOpaqueFile):
    """A file of an object, and where it lies."""

    path: Path = field(kw_only=True)


def node_of(path: Path, progress: Callable[[int], None] = lambda _size: None) -> nar.NarNode:
    """The NAR node of what lies at ``path``, each file a :class:`FileOnDisk`; raises as ``hash_tree`` does."""
    return _node(path, progress, depth=1)


def open_regular(path: Path, *, follow: bool) -> int:
    """Open a regular file to read; raises OSError for anything else, without waiting for a pipe's writer."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return fd


def _node(path: Path, progress: Callable[[int], None], depth: int) -> nar.NarNode:
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode):
        executable = bool(status.st_mode & stat.S_IXUSR)
        return FileOnDisk(status.st_size, lambda: _chunks(path, progress), executable, path=path)
    if stat.S_ISLNK(status.st_mode):
        return nar.NarSymlink(os.readlink(os.fsencode(path)))  # noqa: PTH115 - Path would tidy the target
    if stat.S_ISDIR(status.st_mode):
        if depth > nar.MAX_DEPTH:
            raise FormatError(f"more than {nar.MAX_DEPTH} directories within each other: {str(path)!r}")
        children = {os.fsencode(child.name): _node(child, progress, depth + 1) for child in path.iterdir()}
        return nar.directory(children)
    raise FormatError(f"neither a file, a directory nor a link: {str(path)!r}")


def _chunks(path: Path, progress: Callable[[int], None]) -> Iterator[bytes]:
    fd = open_regular(path, follow=False)
    try:
        while chunk := os.read(fd, _CHUNK):
            yield chunk
            progress(len(chunk))
    finally:
        os.close(fd)
