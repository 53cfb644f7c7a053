"""Nix binary caches as places that may have a blob, on whatever storage.

Only content-addressed bytes are taken, and the lock's sha256 proves them: a cache needs no key and no trust. A blob's
NAR is a header of 96 bytes, the file, and a short trailer, so an uncompressed NAR is fetched by ranges and resumes
inside the file; a compressed one is read from its start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hf_pack.errors import HubError
from hf_pack.formats import nar
from hf_pack.formats.decompressing import METHODS, decompressed
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.narinfo import NarInfo
from hf_pack.model.file_names import shown
from hf_pack.ports import ObjectStorage, Progress, Reception, WantedBlob

_CONTENTS = len(nar.file_header(0))
_SLACK = 1 << 20  #: bytes that a compressed NAR may be larger than the NAR, beside a 64th of it


class BinaryCache:
    """Implements :class:`hf_pack.ports.BlobSource`."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._name = storage.name
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """See :class:`hf_pack.ports.BlobSource`."""
        return self._name

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """See :class:`hf_pack.ports.BlobSource`. Raises HubError for a cache that has the blob and cannot give it."""
        text = self._storage.small(f"{wanted.blob.store_path.digest}.narinfo")
        if text is None:
            return False
        try:
            info = NarInfo.parse(text.decode(errors="replace"))
        except FormatError as error:
            raise HubError(f"{self._name}: its narinfo of {wanted.blob.name} is damaged: {error}") from None
        if info.store_path != wanted.blob.store_path or info.nar_size != nar.file_size(wanted.blob.size):
            raise HubError(f"{self._name}: its narinfo of {wanted.blob.name} is of another object")
        if info.compression == "none":
            self._ranges(info, into, progress)
        elif info.compression in METHODS:
            self._whole(info, wanted.blob.size, into, progress)
        else:
            raise HubError(
                f"{self._name}: has it in a compression that is not read here: expected none, {', '.join(METHODS)}, "
                f"found {shown(info.compression)}"
            )
        return True

    def stop(self) -> None:
        """See :class:`hf_pack.ports.BlobSource`."""
        self._stopped.set()

    def _chunks(self, info: NarInfo, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        for chunk in self._storage.chunks(info.url, offset, size):
            if self._stopped.is_set():
                raise HubError(f"{self._name}: the download was stopped")
            yield chunk

    def _ranges(self, info: NarInfo, into: Reception, progress: Progress) -> None:
        for part in into.missing:
            offset = part.offset
            for chunk in self._chunks(info, _CONTENTS + part.offset, part.size):
                into.write(offset, chunk)
                progress.advance(len(chunk))
                offset += len(chunk)

    def _whole(self, info: NarInfo, size: int, into: Reception, progress: Progress) -> None:
        position = -_CONTENTS  # of the file's first byte
        try:
            for data in decompressed(info.compression, self._plausible(info)):
                begin, end = max(0, -position), min(len(data), size - position)
                if begin < end:
                    into.write(position + begin, memoryview(data)[begin:end])
                    progress.advance(end - begin)
                position += len(data)
                if position >= size:
                    return  # what a cache sends beyond the file is not even decompressed
        except FormatError as error:
            raise HubError(f"{self._name}: {info.url} is damaged: {error}") from None
        raise HubError(f"{self._name}: {info.url} ends early")

    def _plausible(self, info: NarInfo) -> Iterator[bytes | memoryview]:
        """The compressed NAR, unless it is longer than the NAR: some streams have no end and hold nothing."""
        left = info.nar_size + info.nar_size // 64 + _SLACK
        for chunk in self._chunks(info, 0, None):
            left -= len(chunk)
            if left < 0:
                raise HubError(f"{self._name}: {info.url} is longer than what it holds")
            yield chunk
