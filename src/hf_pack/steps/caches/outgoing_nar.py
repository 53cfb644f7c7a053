"""The NAR of a valid object on its way out, proved as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from hf_pack.errors import HubError, IntegrityError, StoreError
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Readable
from hf_pack.steps.caches.hash_beside import HashBeside


class OutgoingNar:
    """Implements :class:`hf_pack.ports.Readable` for a whole NAR: the last chunk is given when all are proven.

    So whoever takes bytes until the end, and only then makes an object of them, never has one of wrong bytes. They are
    hashed beside what the reader does with them. A read of a part is not proven.
    """

    def __init__(self, nar: Readable, info: PathInfo, stop: Event) -> None:
        """Raises IntegrityError for a NAR of another size than the recorded one."""
        self._nar = nar
        self._info = info
        self._stop = stop
        if nar.size != info.nar_size:
            raise self._wrong("NAR size", str(info.nar_size), str(nar.size))

    @property
    def size(self) -> int:
        """In bytes."""
        return self._info.nar_size

    def chunks(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        """See :class:`hf_pack.ports.Readable`.

        Raises IntegrityError before the last chunk of the whole, HubError once ``stop`` is set, StoreError.
        """
        if (offset, size) != (0, self.size):
            yield from self._read(offset, size)
            return
        hasher = HashBeside(self.size)
        try:
            left = self.size
            for chunk in self._read(0, size):
                hasher.update(bytes(chunk) if isinstance(chunk, memoryview) else chunk)
                left -= len(chunk)
                if left == 0:
                    self._prove(hasher.digest())
                yield chunk
        finally:
            hasher.close()

    def _read(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        try:
            for chunk in self._nar.chunks(offset, size):
                if self._stop.is_set():
                    raise HubError("the upload was stopped")
                yield chunk
        except OSError as error:
            raise StoreError(
                f"{self._info.store_path} cannot be read: {error.strerror}",
                hint=f"hf-pack verify {self._info.store_path}",
            ) from None

    def _prove(self, digest: bytes) -> None:
        if digest != self._info.nar_hash.digest:
            raise self._wrong("NAR hash", self._info.nar_hash.hex(), digest.hex())

    def _wrong(self, what: str, expected: str, found: str) -> IntegrityError:
        return IntegrityError(
            f"{self._info.store_path} is damaged and was not published\n  {what}: expected {expected}, found {found}",
            hint=f"hf-pack verify {self._info.store_path} --repair",
        )
