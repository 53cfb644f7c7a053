"""Advisory locks as Nix takes them: ``flock`` on files that are never replaced (Nix's ``pathlocks.cc``)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_DELETED = b"d"  #: written into a lock file after it was unlinked, for those who wait on it


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a file that stays, made when it is not there."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """A descriptor of the lock file, made when it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Take the lock without waiting; says whether it was free."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(path: Path, descriptor: int) -> bool:
    """Whether ``path`` names the open file, and not another one or none."""
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


@contextmanager
def object_locks(real_paths: Iterable[Path]) -> Iterator[None]:
    """Hold ``<path>.lock`` of each object; in sorted order, so that two processes cannot wait for each other."""
    with ExitStack() as stack:
        for real_path in sorted(set(real_paths)):
            stack.enter_context(_object_lock(real_path.with_name(real_path.name + ".lock")))
        yield


@contextmanager
def _object_lock(path: Path) -> Iterator[None]:
    while True:
        descriptor = open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_size == 0 and is_still(path, descriptor):
                break
        except BaseException:
            os.close(descriptor)
            raise
        # The former holder unlinked this file while we waited: who comes now locks another one.
        os.close(descriptor)
    try:
        yield
    finally:
        # As Nix does: first unlink, then mark, so that nobody who waits takes the file for a live one.
        # A full disk may refuse the mark; the file, and with it our lock, is gone all the same.
        with contextlib.suppress(OSError):
            path.unlink()
            os.write(descriptor, _DELETED)
        os.close(descriptor)
