"""A tar archive as object storage: a whole cache in one file, read where it lies and never unpacked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from hf_pack.errors import HubError, IntegrityError, UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.tar_index import FileInTar, files_in_tar
from hf_pack.ports import SMALL, Progress, Readable

_CHUNK = 1 << 18  #: stays in a core's cache until it is written
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")  #: how gzip, zstd, xz and bzip2 begin


class TarStorage:
    """Implements :class:`hf_pack.ports.ObjectStorage`, for reading. Its headers are read once, when first needed.

    Nothing of it is believed: what lies in it is proved as what comes from any cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        self._found: Mapping[str, FileInTar] | None = None

    @property
    def name(self) -> str:
        """The file."""
        return str(self._path)

    def size_of(self, key: str) -> int | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        there = self._files.get(key)
        return None if there is None else there.size

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        there = self._files.get(key)
        if there is None:
            return None
        if there.size > limit:
            raise HubError(f"{self._path}: {key} is larger than {limit} bytes")
        return b"".join(self.chunks(key, 0, None))

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        there = self._files.get(key)
        if there is None:
            raise HubError(f"{self._path}: {key} is not in it")
        left = there.size - offset if size is None else size
        if offset + left > there.size:
            raise HubError(f"{self._path}: {key} ends early")
        position = there.offset + offset
        with self._opened() as descriptor:
            while left > 0:
                chunk = os.pread(descriptor, min(_CHUNK, left), position)
                if not chunk:
                    raise HubError(f"{self._path}: {key} ends early")
                yield chunk
                position, left = position + len(chunk), left - len(chunk)

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:  # noqa: ARG002
        """It is not written to. Raises UsageError."""
        raise self._read_only()

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:  # noqa: ARG002
        """It is not written to. Raises UsageError."""
        raise self._read_only()

    def keys(self, prefix: str) -> tuple[str, ...]:
        """See :class:`hf_pack.ports.ObjectStorage`."""
        return tuple(sorted(key for key in self._files if key.startswith(prefix)))

    @property
    def _files(self) -> Mapping[str, FileInTar]:
        with self._turn:
            if self._found is None:
                with self._opened() as descriptor:
                    self._found = self._index(descriptor)
            return self._found

    def _index(self, descriptor: int) -> Mapping[str, FileInTar]:
        if os.pread(descriptor, 8, 0).startswith(_COMPRESSED):
            raise UsageError(f"{self._path} is compressed, and is read in place", hint="decompress it first")
        try:
            return files_in_tar(lambda offset, n: os.pread(descriptor, n, offset), os.fstat(descriptor).st_size)
        except FormatError as error:
            raise IntegrityError(
                f"{self._path} is damaged, or no archive of packages: {error}",
                hint="compare its sha256 with the one that `hf-pack export` said",
            ) from None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise HubError(f"{self._path}: {error.strerror}") from None

    def _read_only(self) -> UsageError:
        return UsageError(
            f"{self._path} is an archive, which is made as a whole",
            hint=f"hf-pack export NAME… --to tar --output {self._path.name}",
        )
