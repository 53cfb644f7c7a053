"""A file of a store as something that is sent."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_pack.errors import StoreError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """Implements :class:`hf_pack.ports.Readable`. Raises StoreError for a file that is gone or shorter."""

    path: Path
    size: int

    def chunks(self, offset: int, size: int) -> Iterator[memoryview]:
        """See :class:`hf_pack.ports.Readable`."""
        buffer = memoryview(bytearray(min(_CHUNK, max(size, 1))))
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed(str(error.strerror)) from None
        try:
            while size > 0:
                try:
                    got = os.preadv(fd, [buffer[: min(len(buffer), size)]], offset)
                except OSError as error:
                    raise self._failed(str(error.strerror)) from None
                if not got:
                    raise self._failed("it is shorter than it must be")
                yield buffer[:got]
                offset, size = offset + got, size - got
        finally:
            os.close(fd)

    def _failed(self, problem: str) -> StoreError:
        hint = f"hf-pack verify {shlex.quote(str(self.path))} --repair"
        return StoreError(f"a file of the store cannot be read\n  {self.path}: {problem}", hint=hint)
