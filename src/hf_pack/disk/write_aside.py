"""Large files written aside and moved to their place; what a killed writer left there is compared, not written again.

That takes less than writing it, and trusts no record of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.direct_writer import Appending
from hf_pack.disk.locks import is_still
from hf_pack.ports import Progress, Readable


def write_aside(staged: Path, place: Path, contents: Readable, progress: Progress) -> int:
    """Make ``place`` a file of these bytes, by way of ``staged`` beside it; returns the bytes written.

    Who writes by way of the same file at the same time waits, and writes none. Raises OSError, and what reading the
    contents raises, at their last byte too: ``place`` is as it was then.
    """
    with _held(staged) as descriptor:
        if descriptor is None:
            progress.advance(contents.size)
            return 0
        written = _write(descriptor, contents, progress)
        staged.rename(place)
        durable.sync(place.parent)
        return written


@contextmanager
def _held(staged: Path) -> Iterator[int | None]:
    """The staged file, open and locked; None when who had it before us moved it to its place."""
    descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor if is_still(staged, descriptor) else None
    finally:
        os.close(descriptor)


def _write(descriptor: int, contents: Readable, progress: Progress) -> int:
    """Make the file these bytes, leaving what of it is right already; returns the bytes written."""
    there = os.fstat(descriptor).st_size
    position, right = 0, 0
    appending: Appending | None = None
    try:
        for chunk in contents.chunks(0, contents.size):
            if appending is None and position < there and os.pread(descriptor, len(chunk), position) == chunk:
                right += len(chunk)
            else:
                appending = appending or Appending(descriptor, position)
                appending.write(chunk)
            position += len(chunk)
            progress.advance(len(chunk))
    finally:
        if appending is not None:  # what came is there for whoever goes on
            appending.finish()
    os.ftruncate(descriptor, position)
    os.fsync(descriptor)
    return position - right
