"""The NAR of a valid object on its way out, proved as it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, Semaphore, Thread

from hf_pack.errors import HubError, IntegrityError, StoreError
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Readable

_AHEAD = 4  #: chunks that were given on and are still to be hashed
_WORTH_A_THREAD = 1 << 20  #: bytes


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
        hasher = _Hasher(self.size)
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


class _Hasher:
    """sha256 in a thread of its own, a few chunks behind."""

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256()
        self._thread: Thread | None = None
        if size > _WORTH_A_THREAD:
            self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
            self._turns = Semaphore(_AHEAD)
            self._thread = Thread(target=self._run, name="hf-pack hash", daemon=True)
            self._thread.start()

    def update(self, chunk: bytes) -> None:
        if self._thread is None:
            self._hash.update(chunk)
        else:
            self._turns.acquire()
            self._chunks.put(chunk)

    def digest(self) -> bytes:
        self.close()
        return self._hash.digest()

    def close(self) -> None:
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hash.update(chunk)
            self._turns.release()
