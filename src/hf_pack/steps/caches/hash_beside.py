"""A sha256 beside the work that uses the same bytes."""

from __future__ import annotations

import hashlib
from queue import SimpleQueue
from threading import Semaphore, Thread

_AHEAD = 4  #: chunks that were given on and are still to be hashed
_WORTH_A_THREAD = 1 << 20  #: bytes


class HashBeside:
    """sha256 in a thread of its own, a few chunks behind; of few bytes in this thread."""

    def __init__(self, size: int) -> None:
        """``size`` is the number of bytes that come."""
        self._hash = hashlib.sha256()
        self._thread: Thread | None = None
        if size > _WORTH_A_THREAD:
            self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
            self._turns = Semaphore(_AHEAD)
            self._thread = Thread(target=self._run, name="hf-pack hash", daemon=True)
            self._thread.start()

    def update(self, chunk: bytes) -> None:
        """The next bytes, which must not change any more."""
        if self._thread is None:
            self._hash.update(chunk)
        else:
            self._turns.acquire()
            self._chunks.put(chunk)

    def digest(self) -> bytes:
        """The 32 bytes; nothing can be added then."""
        self.close()
        return self._hash.digest()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._hash.update(chunk)
            self._turns.release()
