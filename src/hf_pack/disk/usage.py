"""What objects take on disk, where hard links and Nix's optimiser share files."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def disk_bytes(paths: Iterable[Path], links_dir: Path) -> int:
    """The bytes of disk that removing all these would free: a file counts when no link to it stays."""
    freed = 0
    removed: Counter[tuple[int, int]] = Counter()
    shared: dict[tuple[int, int], os.stat_result] = {}
    rest = [os.fspath(path) for path in paths]
    while rest:
        path = rest.pop()
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode):
            rest.extend(f"{path}/{name}" for name in os.listdir(path))  # noqa: PTH208 - Path is slow
            freed += status.st_blocks * 512
        elif status.st_nlink == 1:
            freed += status.st_blocks * 512
        else:
            removed[status.st_dev, status.st_ino] += 1
            shared[status.st_dev, status.st_ino] = status
    optimised: set[int] = set()
    if shared and links_dir.is_dir():
        with os.scandir(links_dir) as links:
            optimised = {link.inode() for link in links}
    for identity, status in shared.items():
        if removed[identity] + (status.st_ino in optimised) >= status.st_nlink:
            freed += status.st_blocks * 512
    return freed
