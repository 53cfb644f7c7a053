"""Jobs side by side, in threads that a process which is interrupted does not wait for at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")

_GRACE_SECONDS = 1.0  #: for what is under way to end when it is told to; what it leaves behind goes on next time


def side_by_side(jobs: Sequence[Callable[[], Result]], threads: int) -> list[Future[Result]]:
    """Start the jobs in order, ``threads`` at a time; a future each. Those that have not begun can be cancelled."""
    futures: list[Future[Result]] = [Future() for _ in jobs]
    queue = deque(zip(futures, jobs, strict=True))

    def work() -> None:
        while queue:
            try:
                future, job = queue.popleft()
            except IndexError:  # another thread was faster
                return
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
                    future.set_exception(error)

    for number in range(min(threads, len(jobs))):
        Thread(target=work, name=f"job-{number}", daemon=True).start()
    return futures


def all_side_by_side(
    jobs: Sequence[Callable[[], Result]], threads: int, stops: Iterable[Callable[[], None]] = ()
) -> list[Result]:
    """The results in order. The first error, and an interrupt, ends all: what has not begun does not, and ``stops``
    are called to have what is under way end soon."""
    futures = side_by_side(jobs, threads)
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        for stop in stops:
            stop()
        wait(futures, timeout=_GRACE_SECONDS)
        raise
