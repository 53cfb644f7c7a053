"""Objects in the making: a directory for each piece of work, known to be dead when nobody holds its lock."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack.disk.locks import is_still, open_lock, try_lock

_LOCK = ".lock"


def names_in(directory: Path) -> set[str]:
    """The names of a directory's entries, none when it is not there."""
    try:
        return {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return set()


@contextmanager
def staging_folder(staging: Path) -> Iterator[Path]:
    """A new empty folder, removed at the end with what is left in it.

    What killed processes left behind is removed first.
    """
    remove_dead(staging)
    name, lock = _reserve(staging)
    folder = staging / name
    try:
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)
    finally:
        (staging / (name + _LOCK)).unlink(missing_ok=True)
        os.close(lock)


def remove_dead(staging: Path) -> int:
    """Remove the folders of processes that are gone; returns the bytes of disk that this frees."""
    freed = 0
    for folder, lock in _dead(staging):
        freed += remove_tree(folder)
        _lock_of(folder).unlink(missing_ok=True)
        os.close(lock)
    return freed


def dead_folders(staging: Path) -> tuple[Path, ...]:
    """The folders that :func:`remove_dead` would remove. Changes nothing."""
    found = []
    for name in sorted(name for name in names_in(staging) if not name.endswith(_LOCK)):
        try:
            lock = os.open(_lock_of(staging / name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            found.append(staging / name)
            continue
        except PermissionError:
            continue
        if try_lock(lock, exclusive=False):
            found.append(staging / name)
        os.close(lock)
    return tuple(found)


def remove_tree(path: Path) -> int:
    """Remove a file, link or directory, read-only ones too; returns the bytes of disk that this frees.

    A file that has other hard links frees nothing. One that is not there is no error.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    freed = 0
    if stat.S_ISDIR(status.st_mode):
        if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            path.chmod(stat.S_IRWXU)
        with os.scandir(path) as entries:
            children = [Path(entry.path) for entry in entries]
        for child in children:
            freed += remove_tree(child)
        path.rmdir()
    else:
        path.unlink()
    return freed + (0 if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode) else status.st_blocks * 512)


def _reserve(staging: Path) -> tuple[str, int]:
    while True:
        name = f"{os.getpid()}-{secrets.token_hex(6)}"
        path = staging / (name + _LOCK)
        lock = open_lock(path)
        if try_lock(lock, exclusive=True) and is_still(path, lock):
            return name, lock
        # Somebody who cleans up took it before we had locked it.
        os.close(lock)


def _dead(staging: Path) -> Iterator[tuple[Path, int]]:
    """Folders whose lock nobody held, with their lock, now ours."""
    for name in {name.removesuffix(_LOCK) for name in names_in(staging)}:
        folder = staging / name
        try:
            # Its lock is made before a folder and goes after it: a folder without a lock is nobody's.
            lock = open_lock(_lock_of(folder))
        except PermissionError:
            continue
        if try_lock(lock, exclusive=True):
            yield folder, lock
        else:
            os.close(lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)
