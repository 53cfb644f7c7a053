"""How a cache keeps a NAR: as it is, or compressed where its content says that this pays."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.ports import PackedNar, Progress, Readable

if TYPE_CHECKING:
    import zstandard

Compression = Literal["auto", "none", "zstd"]

_LEVEL = 3
_SAMPLE = 1 << 20
_SAMPLES = 4
_PAYS = 2 / 3  #: of its size or less; a NAR as it is can be read by ranges, resumed, and shared with a raw blob
_IN_MEMORY = 8 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class NarFiles:
    """Implements :class:`hf_pack.ports.NarPacker`. A compressed NAR lies in a temporary file while it is sent."""

    compression: Compression = "auto"

    @contextmanager
    def packed(self, nar: Readable, nar_hash: Hash, progress: Progress, *, rather_plain: bool) -> Iterator[PackedNar]:
        """See :class:`hf_pack.ports.NarPacker`."""
        if self.compression == "none" or (self.compression == "auto" and (rather_plain or not _shrinks(nar))):
            yield PackedNar(contents=nar, compression="none", file_hash=nar_hash)
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            digest = hashlib.sha256()
            for piece in _compressed(nar, progress):
                digest.update(piece)
                file.write(piece)
            contents = _Spooled(file, file.tell())
            yield PackedNar(
                contents=contents, compression="zstd", file_hash=Hash(HashAlgorithm.SHA256, digest.digest())
            )


def _shrinks(nar: Readable) -> bool:
    """Whether samples from its start to its end become smaller by a third."""
    step = max(_SAMPLE, (nar.size - _SAMPLE) // (_SAMPLES - 1)) if nar.size > _SAMPLE else nar.size
    sampled = compressed = 0
    for offset in range(0, nar.size, step):
        sample = b"".join(bytes(chunk) for chunk in nar.chunks(offset, min(_SAMPLE, nar.size - offset)))
        sampled += len(sample)
        compressed += len(_compressor().compress(sample))
    return compressed <= sampled * _PAYS


def _compressed(nar: Readable, progress: Progress) -> Iterator[bytes]:
    stream = _compressor().compressobj(size=nar.size)
    for chunk in nar.chunks(0, nar.size):
        yield stream.compress(chunk)
        progress.advance(len(chunk))
    yield stream.flush()


def _compressor() -> zstandard.ZstdCompressor:
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


@dataclass(frozen=True, slots=True)
class _Spooled:
    file: IO[bytes]
    size: int

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        self.file.seek(offset)
        while size > 0 and (chunk := self.file.read(min(_CHUNK, size))):
            yield chunk
            size -= len(chunk)
