"""A directory as object storage: ``file://``, as real Nix reads and writes it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.locks import is_still
from hf_pack.disk.write_back import WriteBack
from hf_pack.errors import HubError
from hf_pack.model.file_names import shown
from hf_pack.ports import SMALL, Progress, Readable

_CHUNK = 1 << 20
STAGING = ".hf-pack-staging"


class DiskStorage:
    """Implements :class:`hf_pack.ports.ObjectStorage` below a directory, which is made when something is written.

    A large object is written aside under a name that follows from its key. What a killed upload left there is compared
    with the bytes that come now, which takes less than writing them again and trusts no record of it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """``file://…``."""
        return f"file://{self._root}"

    def size_of(self, key: str) -> int | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        place = self._place(key)
        with self._as_hub_error(place):
            try:
                return place.stat().st_size if place.is_file() else None
            except FileNotFoundError:
                return None

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        place = self._place(key)
        with self._as_hub_error(place):
            try:
                with place.open("rb") as file:
                    contents = file.read(limit + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
        if len(contents) > limit:
            raise HubError(f"{place}: is larger than {limit} bytes")
        return contents

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        place = self._place(key)
        with self._as_hub_error(place), place.open("rb") as file:
            file.seek(offset)
            left = place.stat().st_size - offset if size is None else size
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                yield chunk
                left -= len(chunk)
        if left > 0 and size is not None:
            raise HubError(f"{place}: ends early")

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        place = self._place(key)
        with self._as_hub_error(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            if not replace:
                return durable.create_file(place, contents)
            durable.replace_file(place, contents)
            return True

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """See :class:`hf_pack.ports.ObjectStorage`. Who uploads the same key at the same time waits, and sends none."""
        place = self._place(key)
        staging = self._root / STAGING
        with self._as_hub_error(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            staging.mkdir(exist_ok=True)
            staged = staging / hashlib.sha256(key.encode()).hexdigest()
            with _held(staged) as descriptor:
                if descriptor is None:
                    progress.advance(contents.size)
                    return 0
                written = _write(descriptor, contents, progress)
                staged.rename(place)
                durable.sync(place.parent)
                return written

    def keys(self, prefix: str) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        top = self._place(prefix.rpartition("/")[0]) if "/" in prefix else self._root
        found = []
        with self._as_hub_error(top):
            for parent, directories, names in os.walk(top, onerror=_raise_unless_missing):
                directories[:] = [name for name in directories if not name.startswith(".")]
                below = Path(parent).relative_to(self._root)
                found += [(below / name).as_posix() for name in names if not name.startswith(".")]
        return tuple(sorted(key for key in found if key.startswith(prefix)))

    def _place(self, key: str) -> Path:
        # A narinfo is a stranger's: it must not have this machine read what lies elsewhere on it.
        place = self._root / key
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self._root)):
            raise HubError(f"{self.name}: a narinfo leads out of the cache: {shown(key)}")
        return place

    @contextmanager
    def _as_hub_error(self, place: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise HubError(
                f"{place}: {error.strerror}", hint="free some space and run it again: it goes on" if full else ""
            ) from None


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
    position = written = 0
    write_back = WriteBack(descriptor)
    try:
        for chunk in contents.chunks(0, contents.size):
            if position < there:
                if os.pread(descriptor, len(chunk), position) == chunk:
                    position += len(chunk)
                    progress.advance(len(chunk))
                    continue
                there = 0
            rest = memoryview(chunk)
            while rest:
                length = os.pwrite(descriptor, rest, position)
                rest, position, written = rest[length:], position + length, written + length
            write_back.wrote(written)
            progress.advance(len(chunk))
        os.ftruncate(descriptor, position)
        write_back.finish()
    finally:
        write_back.stop()
    return written


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
