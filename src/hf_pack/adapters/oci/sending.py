"""A stretch of something readable as the file that urllib3 sends."""

from __future__ import annotations

import io
from collections.abc import Callable

from hf_pack.ports import Readable

_SENT_AGAIN = 64 << 10  #: bytes; of more, the registry may have kept a part, and is asked first


class Stretch(io.RawIOBase):
    """``size`` bytes of ``contents`` from ``offset``; ``advance`` is told of bytes as they are read, once each."""

    def __init__(self, contents: Readable, offset: int, size: int, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._contents = contents
        self._offset = offset
        self._size = size
        self._advance = advance
        self._reported = 0
        self.sent = 0
        self.seek(0)

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """From its start or end. Raises ConnectionError when much was sent already."""
        if self.sent > _SENT_AGAIN:
            raise ConnectionError("the connection broke in the middle of a file")
        self._position = offset if whence == io.SEEK_SET else self._size + offset
        self._chunks = self._contents.chunks(self._offset + self._position, self._size - self._position)
        self._rest = memoryview(b"")
        return self._position

    def tell(self) -> int:
        """Bytes from its start."""
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, as many as are at hand."""
        if not self._rest and self._position < self._size:
            self._rest = memoryview(next(self._chunks, b""))
        piece = bytes(self._rest[: size if size >= 0 else None])
        self._rest = self._rest[len(piece) :]
        self._position += len(piece)
        self.sent += len(piece)
        if self._position > self._reported:
            self._advance(self._position - self._reported)
            self._reported = self._position
        return piece
