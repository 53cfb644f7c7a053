"""One stream of bytes into several sinks at once, each sink in a thread of its own.

SHA-256 cannot be split, so one file keeps as many cores busy as it has digests to compute. Each chunk is
read once and handed to every sink; the memory is a few chunks, whatever the length of the stream.
``hashlib`` and the system calls release the interpreter lock, so the threads do run side by side.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeAlias

MIB = 1 << 20

Sink: TypeAlias = Callable[[memoryview], object]


class Cancelled(Exception):  # noqa: N818 - it says that another error is the one to report
    """The work was given up because another part of it failed."""


def new_buffers(count: int, size: int) -> tuple[memoryview, ...]:
    """Return ``count`` buffers of ``size`` bytes that begin on a page, as ``O_DIRECT`` wants them."""
    return tuple(memoryview(mmap.mmap(-1, size)) for _ in range(count))


def fill_from(fd: int, buffer: memoryview) -> int:
    """Read until ``buffer`` is full or the file ends; returns the number of bytes, 0 at the end."""
    length = 0
    while length < len(buffer):
        read = os.readv(fd, [buffer[length:]])
        if read == 0:
            break
        length += read
    return length


def fan_out(
    fill: Callable[[memoryview], int],
    size: int,
    sinks: Sequence[Sink],
    *,
    buffers: Sequence[memoryview],
    progress: Callable[[int], None],
    stop: Event,
) -> int:
    """Give the next ``size`` bytes, or what there is of them, to every sink; returns their number.

    ``fill`` puts the next bytes into a buffer and returns their number, less than its length only at the end. All
    chunks but the last fill a buffer. A sink must not keep its chunk. Raises what the first failing sink raised, what
    ``fill`` raises, and ``Cancelled`` soon after ``stop`` is set.
    """
    if size <= len(buffers[0]):  # a thread costs more than a small file
        chunk = buffers[0][: fill(buffers[0][:size])]
        for sink in sinks:
            sink(chunk)
        progress(len(chunk))
        return len(chunk)
    lanes = [Lane(sink, len(buffers)) for sink in sinks]
    total = 0
    try:
        for turn in range(-(-size // len(buffers[0]))):
            for lane in lanes:
                lane.wait()
            if stop.is_set():
                raise Cancelled
            buffer = buffers[turn % len(buffers)]
            length = fill(buffer[: size - total])
            if length == 0:
                break
            for lane in lanes:
                lane.put(buffer[:length])
            total += length
            progress(length)
    finally:
        for lane in lanes:
            lane.close()
    for lane in lanes:
        lane.check()
    return total


class Lane:
    """A sink and its thread; at most ``depth`` chunks are under way in it, each after a :meth:`wait`."""

    def __init__(self, sink: Sink, depth: int) -> None:
        self._sink = sink
        self._chunks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._error: BaseException | None = None
        for _ in range(depth):
            self._turns.put(None)
        self._thread = Thread(target=self._run, name="hf-pack lane", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            if self._error is None:
                try:
                    self._sink(chunk)
                except BaseException as error:  # noqa: BLE001 - raised again by check()
                    self._error = error
            self._turns.put(None)

    def wait(self) -> None:
        """Wait until the oldest chunk's buffer is free again. Raises what the sink raised."""
        self._turns.get()
        self.check()

    def put(self, chunk: memoryview) -> None:
        """The next chunk, which must not change until its turn comes again."""
        self._chunks.put(chunk)

    def close(self) -> None:
        """Wait until all is done and end the thread."""
        self._chunks.put(None)
        self._thread.join()

    def check(self) -> None:
        """Raise what the sink raised."""
        if self._error is not None:
            raise self._error
