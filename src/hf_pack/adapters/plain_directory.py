"""A package as a plain directory: links out of the tree become the files they lead to, the rest stays as it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.clone import clone
from hf_pack.errors import StoreError, UsageError


@dataclass(slots=True)
class Written:
    """What a directory took: ``shared`` and ``copied`` are bytes of files, by whether they take disk anew."""

    files: int = 0
    shared: int = 0
    copied: int = 0
    _no_clones: bool = field(default=False, repr=False)
    _no_links: bool = field(default=True, repr=False)
    _advance: Callable[[int], None] = field(default=lambda _: None, repr=False)


def write_directory(
    tree: Path, target: Path, *, hard_links: bool = False, advance: Callable[[int], None] = lambda _: None
) -> Written:
    """Make ``target`` a directory of what ``tree`` holds, with no link out of it.

    It is written aside and renamed: it is there whole or not at all. Files share the store's blocks where the file
    system can, else they are copies. With ``hard_links`` they are the store's own files instead, which whoever may
    write there (root always) would change in the store too. ``advance`` hears of each byte of the files. Raises
    UsageError when ``target`` is there and not empty, StoreError when a file of the package cannot be read, or the
    disk is full.
    """
    require_free(target)
    aside = target.with_name(f".{target.name}.new{durable.SUFFIX}")
    written = Written(_no_clones=hard_links, _no_links=not hard_links, _advance=advance)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if aside.exists():
            shutil.rmtree(aside)
        _fill(tree, aside, "", written)
        aside.rename(target)
        durable.sync(target.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        place = error.filename or target
        raise StoreError(
            f"the package cannot be written as a directory\n  {place}: {error.strerror or error}",
            hint="name a place with room, this user's to write: --output DIR",
        ) from None
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return written


def write_files_alone(target: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """Make ``target`` a directory of these files (relative paths), whole or not at all.

    Raises UsageError when it is there and not empty, or cannot be written.
    """
    require_free(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.replace_directory(target, files)
    except OSError as error:
        raise UsageError(f"{error.filename or target}: {error.strerror}", hint="name another --output") from None


def require_free(target: Path) -> None:
    """Raise UsageError when something is there."""
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        raise UsageError(f"{target} is there already", hint="name a directory that is not there yet: --output DIR")


def _fill(source: Path, target: Path, inside: str, written: Written) -> None:
    """Copy the directory ``source``, which lies at ``inside`` in the tree; unlike the store's, it can be removed."""
    target.mkdir()
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        path = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            _fill(Path(entry), path, f"{inside}{entry.name}/", written)
        elif entry.is_symlink() and _stays_inside(inside, link := str(Path(entry).readlink())):
            path.symlink_to(link)
        else:
            _put(Path(entry).resolve(strict=True), path, written)
    durable.sync(target)


def _stays_inside(inside: str, link: str) -> bool:
    return not os.path.normpath(inside + link).startswith("..") and not link.startswith("/")


def _put(source: Path, target: Path, written: Written) -> None:
    size = source.stat().st_size
    written.files += 1
    if _clone(source, target, written) or _link(source, target, written):
        written.shared += size
        written._advance(size)
        return
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(1 << 20):
            writer.write(chunk)
            written._advance(len(chunk))
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o444)
    written.copied += size


def _clone(source: Path, target: Path, written: Written) -> bool:
    if written._no_clones:
        return False
    with source.open("rb") as reader, target.open("xb") as writer:
        if not clone(reader.fileno(), writer.fileno()):
            written._no_clones = True
            target.unlink()
            return False
        os.fsync(writer.fileno())
    target.chmod(0o444)
    return True


def _link(source: Path, target: Path, written: Written) -> bool:
    if written._no_links:
        return False
    try:
        target.hardlink_to(source)
    except OSError as error:
        # another file system, a file of another user's, or more links than the file system has
        written._no_links = error.errno != errno.EMLINK
        return False
    return True
