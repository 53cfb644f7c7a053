"""Bodies of requests and answers that are large: received by ranges as long as that brings something, sent as files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing

from hf_pack.errors import HubError
from hf_pack.ports import Readable
from hf_pack.web_pool import Answer, failure

_BUFFER = 1 << 20


def received(
    ask: Callable[[str], Answer], what: str, offset: int, size: int | None, *, tries: int
) -> Iterator[memoryview]:
    """``size`` bytes of a body from ``offset``, or all that follow; goes on after a broken connection where it broke.

    ``ask`` gives the answer to a request with this ``Range``: of status 206 the range, of 200 the whole body, as
    servers without ranges send it. Each chunk is gone when the next is asked for. Raises HubError that names ``what``
    when ``tries`` in a row bring nothing, and what ``ask`` raises.
    """
    buffer = memoryview(bytearray(_BUFFER))
    done, in_vain = 0, 0
    while size is None or done < size:
        last = "" if size is None else str(offset + size - 1)
        before, problem = done, "ends early"
        try:
            with closing(ask(f"bytes={offset + done}-{last}")) as answer:
                skip = 0 if answer.status == 206 else offset + done
                while got := answer.read_into(buffer):
                    fresh = buffer[skip : got if size is None else min(got, skip + size - done)]
                    skip = max(0, skip - got)
                    if fresh:
                        yield fresh
                        done += len(fresh)
                    if done == size:
                        return
            if size is None:
                return
        except OSError as error:
            problem = f"breaks off: {failure(error)}"
        in_vain = 0 if done > before else in_vain + 1
        if in_vain >= tries:
            raise HubError(f"{what} {problem}")


class Stretch(io.RawIOBase):
    """``size`` bytes of ``contents`` from ``offset`` as the file that urllib3 sends, and sends again after a failure.

    ``advance`` is told of bytes as they are read, once each. Once more than ``most_again`` bytes were sent they are not
    sent again.
    """

    def __init__(
        self,
        contents: Readable,
        offset: int,
        size: int,
        advance: Callable[[int], None],
        *,
        most_again: int | None = None,
    ) -> None:
        super().__init__()
        self._contents = contents
        self._offset = offset
        self._size = size
        self._advance = advance
        self._most_again = most_again
        self._reported = 0
        self.sent = 0
        self.seek(0)

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """From its start or end. Raises ConnectionError when too much was sent already."""
        if self._most_again is not None and self.sent > self._most_again:
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
