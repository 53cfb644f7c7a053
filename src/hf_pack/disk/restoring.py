"""Making a store object of what its NAR holds: canonical and on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.objects import DIRECTORY_MODE, FILE_MODE, MTIME
from hf_pack.disk.write_back import WriteBack
from hf_pack.formats.nar_reader import (
    DirectoryEnd,
    DirectoryStart,
    FileChunk,
    FileEnd,
    FileStart,
    NarEvent,
    NarPath,
    Symlink,
)

_EXECUTABLE_MODE = 0o555
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGE = 32 << 20  #: bytes; the disk begins with such a file before its end
_SYNCS_AT_ONCE = 16


def restore(events: Iterable[NarEvent], target: Path) -> None:
    """Make the object at ``target``, where nothing is. Its directory is the caller's to sync.

    As of :func:`hf_pack.disk.objects.write_tree`, a directory's top stays writable. What an error leaves is the
    caller's to remove. Raises OSError.
    """
    top = os.fsencode(target)
    small: list[Path] = []
    directories: list[bytes] = []
    with ExitStack() as opened:
        current: _File | None = None
        for event in events:
            match event:
                case DirectoryStart(path):
                    os.mkdir(place := _below(top, path))  # noqa: PTH102 - names are bytes
                    directories.append(place)
                case FileStart():
                    current = opened.enter_context(_File(_below(top, event.path), event.size, event.executable))
                case FileChunk(data) if current is not None:
                    current.write(data)
                case FileEnd(path) if current is not None:
                    current.finish()
                    opened.close()
                    if current.size < _LARGE:
                        small.append(Path(os.fsdecode(_below(top, path))))
                case Symlink():
                    os.symlink(event.target, place := _below(top, event.path))  # noqa: PTH211 - names are bytes
                    os.utime(place, (MTIME, MTIME), follow_symlinks=False)
                case DirectoryEnd(path):
                    os.utime(_below(top, path), (MTIME, MTIME))
                    os.chmod(_below(top, path), DIRECTORY_MODE if path else 0o755)  # noqa: PTH101 - names are bytes
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        list(pool.map(durable.sync, small))
    for place in reversed(directories):
        durable.sync(Path(os.fsdecode(place)))


def _below(top: bytes, path: NarPath) -> bytes:
    return os.path.join(top, *path)  # noqa: PTH118 - names are bytes


class _File:
    """A new file that is being written; a large one goes to disk meanwhile."""

    def __init__(self, path: bytes, size: int, executable: bool) -> None:
        self.size = size
        self._mode = _EXECUTABLE_MODE if executable else FILE_MODE
        self._descriptor = os.open(path, _NEW_FILE, 0o600)
        self._written = 0
        self._write_back = WriteBack(self._descriptor) if size >= _LARGE else None

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        if self._write_back is not None:
            self._write_back.stop()
        os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            length = os.write(self._descriptor, rest)
            self._written, rest = self._written + length, rest[length:]
        if self._write_back is not None:
            self._write_back.wrote(self._written)

    def finish(self) -> None:
        os.fchmod(self._descriptor, self._mode)
        os.utime(self._descriptor, (MTIME, MTIME))
        if self._write_back is not None:
            self._write_back.finish()
