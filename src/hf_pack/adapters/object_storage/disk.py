"""A directory as object storage: ``file://``, as real Nix reads and writes it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.object_storage.keys import leads_out
from hf_pack.disk.write_aside import write_aside
from hf_pack.errors import HubError
from hf_pack.ports import SMALL, Progress, Readable

_CHUNK = 1 << 18  #: stays in a core's cache until it is written
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
            return write_aside(staging / hashlib.sha256(key.encode()).hexdigest(), place, contents, progress)

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
            raise leads_out(self.name, key)
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


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
