"""Store objects on disk: canonical, whole, and in place only by a rename."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.staging import remove_tree
from hf_pack.formats import nar
from hf_pack.model.lock import Blob
from hf_pack.model.path_info import PathInfo
from hf_pack.model.plan import Plan, RegularFile, Symlink

MTIME = 1  #: seconds since the epoch, of every file of a store
FILE_MODE = 0o444
DIRECTORY_MODE = 0o555

#: The ways in which a file system says that a hard link cannot be.
_NO_LINK = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS})
_EXECUTABLE_TOKENS = nar.size(nar.NarFile(b"", executable=True)) - nar.size(nar.NarFile(b""))
_CHUNK = 1 << 20
_SYNCS_AT_ONCE = 16


def is_whole(real_path: Path, info: PathInfo) -> bool:
    """Whether a valid object is there and, for a single file, of the right length. Reads no contents."""
    try:
        status = real_path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return True
    size = nar.file_size(status.st_size)
    return info.nar_size in (size, size + _EXECUTABLE_TOKENS)


def link(source: Path, target: Path) -> bool:
    """Make ``target`` a hard link to ``source``; False where that cannot be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def write_tree(plan: Plan, target: Path, *, blob_file: Callable[[Blob], Path]) -> int:
    """Make the plan's tree as the new directory ``target``, on disk and canonical but for the top's mode.

    The top stays writable, since a directory that its owner cannot write cannot be moved to another parent.
    Files of blobs are hard links to ``blob_file(blob)``, or copies. Returns the bytes written.
    """
    written = 0
    files: list[Path] = []
    directories = {target: None}
    target.mkdir()
    for entry in plan.entries:
        path = target.joinpath(*entry.path.split("/"))
        for parent in reversed(path.relative_to(target).parents[:-1]):
            directories.setdefault(target / parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        match entry:
            case Symlink():
                path.symlink_to(entry.target)
                os.utime(path, (MTIME, MTIME), follow_symlinks=False)
            case RegularFile(contents=bytes() as contents):
                path.write_bytes(contents)
                written += len(contents)
                files.append(path)
            case RegularFile(contents=Blob() as blob):
                if not link(blob_file(blob), path):
                    shutil.copyfile(blob_file(blob), path)
                    written += blob.size
                    files.append(path)
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        # Side by side, so that the file system puts them into few commits of its journal.
        list(pool.map(_finish_file, files))
    for directory in reversed(directories):
        os.utime(directory, (MTIME, MTIME))
        directory.chmod(0o755 if directory == target else DIRECTORY_MODE)
        durable.sync(directory)
    return written


def move_in(staged: Path, real_path: Path) -> None:
    """Rename a staged object to its place, which is not taken. The store directory is the caller's to sync."""
    staged.rename(real_path)
    if not real_path.is_symlink() and real_path.is_dir():
        real_path.chmod(DIRECTORY_MODE)
        durable.sync(real_path)


def replace(staged: Path, real_path: Path, *, aside: Path) -> None:
    """Put a staged object in the place of one that is there or not; that one goes to ``aside``."""
    if real_path.is_dir() and not real_path.is_symlink():
        real_path.chmod(0o755)
    if os.path.lexists(real_path):
        real_path.rename(aside)
    move_in(staged, real_path)
    remove_tree(aside)


def chunks_of(path: Path, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of a file, in pieces."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            progress(len(chunk))
            yield chunk


def _finish_file(path: Path) -> None:
    os.utime(path, (MTIME, MTIME))
    path.chmod(FILE_MODE)
    durable.sync(path)
