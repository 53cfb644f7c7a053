"""The one way in which files outside the store are written: whole and on disk, or not at all.

Everything is written beside its place under a name that starts with ``.`` and ends in ``.hf-pack-tmp``, brought
to the disk, renamed, and the rename brought to the disk. A process that is killed leaves the old state or the new
one, and at most such a leftover beside it. The functions raise ``OSError`` alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".hf-pack-tmp"

_NAME_SHOWN = 40  #: characters of a file's name in its temporary file's, which stays under 255 bytes so


def replace_file(path: Path, contents: bytes, mode: int = 0o644) -> None:
    """Make ``path`` a file of these bytes; the umask applies to ``mode``. A link is followed and stays a link."""
    path = _followed(path)
    temporary = _temporary(path)
    try:
        _write(temporary, contents, mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create_file(path: Path, contents: bytes, mode: int = 0o644) -> bool:
    """Make the new file ``path``; False, and it is as it was, when something is there."""
    temporary = _temporary(path)
    try:
        _write(temporary, contents, mode)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return True


def replace_symlink(path: Path, target: Path | str) -> None:
    """Make ``path`` a link to ``target``. Raises ``FileExistsError`` when something else than a link is there."""
    if path.exists() and not path.is_symlink():
        raise FileExistsError(f"{path} is not a link")
    temporary = _temporary(path)
    try:
        temporary.symlink_to(target)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def replace_directory(path: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """Make ``path`` a directory of exactly these files (relative paths), or nothing when there are none.

    A kill leaves the old directory or the new one; in the moment between them, when neither is in its place,
    :func:`mend_directory` puts the old one back. Every call mends first, and callers wait for each other.
    """
    path = _followed(path)
    new, old = _swap_names(path)
    with _only_one(path.parent):
        _mend(path)
        try:
            if files:
                _write_tree(new, files)
            if path.exists():
                path.rename(old)
            if files:
                new.rename(path)
        except BaseException:
            _mend(path)
            raise
        sync(path.parent)
        _remove_tree(old)


def create_directory(path: Path, files: Sequence[tuple[str, bytes | str]]) -> bool:
    """Make the new directory ``path`` of exactly these files (relative paths), a text being where a link leads.

    False, and it is as it was, when a directory is there.
    """
    if path.is_dir():
        return False
    temporary = _temporary(path)
    try:
        _write_tree(temporary, files)
        temporary.rename(path)
    except OSError:
        if path.is_dir():  # another one was quicker
            return False
        raise
    finally:
        _remove_tree(temporary)
    sync(path.parent)
    return True


def mend_directory(path: Path) -> None:
    """Finish what a killed :func:`replace_directory` left behind, after waiting for one that still runs."""
    path = _followed(path)
    if any(leftover.exists() for leftover in _swap_names(path)):
        with _only_one(path.parent):
            _mend(path)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a directory's own entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _followed(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:_NAME_SHOWN]}.{os.urandom(8).hex()}{SUFFIX}")


def _swap_names(path: Path) -> tuple[Path, Path]:
    # Fixed names: the next run recognises what a killed one left.
    return path.with_name(f".{path.name}.new{SUFFIX}"), path.with_name(f".{path.name}.old{SUFFIX}")


def _write(path: Path, contents: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())


def _write_tree(root: Path, files: Sequence[tuple[str, bytes | str]]) -> None:
    root.mkdir()
    directories = {root}
    for relative, contents in files:
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        directories.update(parent for parent in path.parents if root in parent.parents)
        if isinstance(contents, bytes):
            _write(path, contents, 0o644)
        else:
            path.symlink_to(contents)
    for directory in directories:
        sync(directory)


def _mend(path: Path) -> None:
    new, old = _swap_names(path)
    if old.exists() and not path.exists():
        old.rename(path)
    _remove_tree(old)
    _remove_tree(new)


def _remove_tree(path: Path) -> None:
    import shutil  # with its archive formats it is slow to import, and few commands remove anything

    with suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
