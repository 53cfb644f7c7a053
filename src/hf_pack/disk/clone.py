"""Files that share their blocks on disk (btrfs, XFS, …)."""

from __future__ import annotations

import fcntl
import os

_FICLONE = 0x40049409  # _IOW(0x94, 9, int), linux/fs.h


def clone(source: int, target: int) -> bool:
    """Make the new open file ``target`` share the blocks of ``source``; False, and it is empty, where that cannot be.

    The ways to say "cannot" are many (another file system, a swap file, no such ioctl); an error that is worth
    reporting meets the copy too.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        os.ftruncate(target, 0)
        return False
    return True
