"""Nix binary caches on whatever storage: places that give store objects away by their digest, and blobs to a build.

What arrives is proved by whom it is for, so a cache needs no trust here. A blob's NAR is a header of 96 bytes, the
file, and a short trailer, so an uncompressed NAR is fetched by ranges and resumes inside the file; a compressed one is
read from its start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import IO, cast

from hf_pack.errors import HubError, IntegrityError
from hf_pack.formats import nar
from hf_pack.formats.decompressing import METHODS, decompressed
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import StorePath
from hf_pack.model.file_names import shown
from hf_pack.ports import ObjectStorage, Progress, Reception, WantedBlob, joined

_CONTENTS = len(nar.file_header(0))
_SLACK = 1 << 20  #: bytes that a compressed NAR may be larger than the NAR, beside a 64th of it
_ZSTD = "zstd"
_PIECE = 1 << 20
_MOST_WINDOW = 128 << 20  #: bytes of memory that a zstd stream may ask for; `zstd --ultra -22` asks for as much


class BinaryCache:
    """Implements :class:`hf_pack.ports.ObjectCache` and :class:`hf_pack.ports.BlobSource`."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._name = storage.name
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """See :class:`hf_pack.ports.BlobSource`."""
        return self._name

    @property
    def storage(self) -> ObjectStorage:
        """See :class:`hf_pack.ports.ObjectCache`."""
        return self._storage

    def describe(self, store_path: StorePath) -> NarInfo | None:
        """See :class:`hf_pack.ports.ObjectCache`."""
        text = self._storage.small(f"{store_path.digest}.narinfo")
        if text is None:
            return None
        try:
            info = NarInfo.parse(text.decode(errors="replace"))
        except FormatError as error:
            raise IntegrityError(f"{self._name}: its narinfo of {store_path} is damaged: {error}") from None
        if info.store_path != store_path:
            raise IntegrityError(f"{self._name}: its narinfo of {store_path} is of another object, {info.store_path}")
        if info.compression not in ("none", _ZSTD, *METHODS):
            raise HubError(
                f"{self._name}: has {store_path} in a compression that is not read here: "
                f"expected none, {_ZSTD}, {', '.join(METHODS)}, found {shown(info.compression)}"
            )
        return info

    def nar(self, info: NarInfo) -> Iterator[bytes | memoryview]:
        """See :class:`hf_pack.ports.ObjectCache`."""
        if info.compression == "none":
            yield from self._chunks(info, 0, None)
            return
        compressed = self._plausible(info)
        try:
            yield from _zstd(compressed) if info.compression == _ZSTD else decompressed(info.compression, compressed)
        except FormatError as error:
            raise IntegrityError(f"{self._name}: {info.url} of {info.store_path} is damaged: {error}") from None

    def nar_part(self, info: NarInfo, offset: int, size: int) -> bytes:
        """See :class:`hf_pack.ports.ObjectCache`."""
        if info.compression == "none":
            return b"".join(bytes(chunk) for chunk in self._chunks(info, offset, size))
        begun = b""
        for chunk in self.nar(info):
            begun += chunk
            if len(begun) >= offset + size:
                return begun[offset : offset + size]
        raise self._ends_early(info)

    def receive(self, info: NarInfo, at: int, size: int, into: Reception, progress: Progress) -> None:
        """See :class:`hf_pack.ports.ObjectCache`."""
        if info.compression == "none":
            self._ranges(info, at, into, progress)
        else:
            self._whole(info, at, size, into, progress)

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """See :class:`hf_pack.ports.BlobSource`. Raises HubError for a cache that has the blob and cannot give it,
        IntegrityError for one that has something else."""
        info = self.describe(wanted.blob.store_path)
        if info is None:
            return False
        if info.nar_size != nar.file_size(wanted.blob.size):
            raise IntegrityError(f"{self._name}: its narinfo of {wanted.blob.store_path} is of another object")
        self.receive(info, _CONTENTS, wanted.blob.size, into, progress)
        return True

    def stop(self) -> None:
        """See :class:`hf_pack.ports.BlobSource`."""
        self._stopped.set()

    def _chunks(self, info: NarInfo, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        chunks = self._storage.chunks(info.url, offset, size)
        while True:
            try:
                chunk = next(chunks, None)
            except HubError as error:
                raise HubError(f"{info.store_path} cannot be had\n  {error.message}", hint=error.hint) from error
            if chunk is None:
                return
            if self._stopped.is_set():
                raise HubError(f"{self._name}: the download was stopped")
            yield chunk

    def _ranges(self, info: NarInfo, at: int, into: Reception, progress: Progress) -> None:
        for run in joined(into.missing):
            offset = run.offset
            for chunk in self._chunks(info, at + run.offset, run.size):
                into.write(offset, chunk)
                progress.advance(len(chunk))
                offset += len(chunk)

    def _whole(self, info: NarInfo, at: int, size: int, into: Reception, progress: Progress) -> None:
        position = -at  # of the file's first byte
        for data in self.nar(info):
            begin, end = max(0, -position), min(len(data), size - position)
            if begin < end:
                into.write(position + begin, memoryview(data)[begin:end])
                progress.advance(end - begin)
            position += len(data)
            if position >= size:
                return  # what a cache sends beyond the file is not even decompressed
        raise self._ends_early(info)

    def _plausible(self, info: NarInfo) -> Iterator[bytes | memoryview]:
        """The compressed NAR, unless it is longer than the NAR: some streams have no end and hold nothing."""
        left = info.nar_size + info.nar_size // 64 + _SLACK
        for chunk in self._chunks(info, 0, None):
            left -= len(chunk)
            if left < 0:
                raise IntegrityError(f"{self._name}: {info.url} of {info.store_path} is longer than what it holds")
            yield chunk

    def _ends_early(self, info: NarInfo) -> IntegrityError:
        return IntegrityError(f"{self._name}: {info.url} of {info.store_path} ends early")


def _zstd(compressed: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The stream's bytes in pieces of 1 MiB at most, whatever it holds. Raises FormatError for damage."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    try:
        # Of several frames: compressors that use many cores write such.
        with decompressor.stream_reader(cast("IO[bytes]", _Stream(compressed)), read_across_frames=True) as reader:
            while piece := reader.read(_PIECE):
                yield piece
    except zstandard.ZstdError as error:
        raise FormatError(str(error)) from None


class _Stream:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks = iter(chunks)
        self._rest: bytes = b""

    def read(self, size: int) -> bytes:
        """1 to ``size`` bytes, none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = bytes(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
