"""Large objects in parts: read and proven in order, sent side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Event, Semaphore, Thread
from typing import TypeVar

from hf_pack.ports import Readable

MIB = 1 << 20
SMALLEST = 16 * MIB  #: enough that the time of a request does not count
MOST_PARTS = 10_000  #: of one object, in S3 and all that is like it

Result = TypeVar("Result")


def part_size_of(size: int) -> int:
    """Bytes of a part of an object of ``size`` bytes. It follows from that alone, so that another run can go on."""
    needed = -(-size // MOST_PARTS)
    return max(SMALLEST, -(-needed // MIB) * MIB)


def parts_of(contents: Readable, size: int) -> Iterator[bytes]:
    """All bytes, in order, in parts of ``size``; the last may be shorter."""
    buffer = bytearray()
    for chunk in contents.chunks(0, contents.size):
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(memoryview(buffer)[:size])
            buffer = buffer[size:]
    if buffer:
        yield bytes(buffer)


def in_order(send: Callable[[int, bytes], Result], parts: Iterator[bytes], slots: Semaphore) -> list[Result]:
    """The results of ``send(number, part)``, numbers from 1; a part is read when a slot is free for it.

    Raises the first error of a part or of reading, after what is under way has ended.
    """
    futures: list[Future[Result]] = []
    failed = Event()

    def run(future: Future[Result], number: int, part: bytes) -> None:
        try:
            future.set_result(send(number, part))
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.set()
            future.set_exception(error)
        finally:
            slots.release()

    try:
        while not failed.is_set():
            slots.acquire()
            try:
                part = next(parts, None)
            except BaseException:
                slots.release()
                raise
            if part is None:
                slots.release()
                break
            futures.append(Future())
            # Of a process that is interrupted no part is waited for.
            Thread(target=run, args=(futures[-1], len(futures), part), name="hf-pack part", daemon=True).start()
    finally:
        wait(futures)
    return [future.result() for future in futures]
