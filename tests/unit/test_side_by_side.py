from __future__ import annotations

import threading
from functools import partial

import pytest

from hf_pack.side_by_side import side_by_side


def test_every_job_has_its_result() -> None:
    futures = side_by_side([partial(pow, n, 2) for n in range(50)], 4)
    assert [future.result() for future in futures] == [n * n for n in range(50)]
    assert side_by_side([], 4) == []


def test_as_many_at_once_as_were_asked_for() -> None:
    both = threading.Barrier(2)
    assert [future.result() for future in side_by_side([lambda: both.wait(10) >= 0] * 2, 2)] == [True, True]


def test_an_error_is_raised_by_its_own_future_alone() -> None:
    def fail() -> None:
        raise KeyError("x")

    failed, fine = side_by_side([fail, lambda: None], 1)
    with pytest.raises(KeyError):
        failed.result()
    assert fine.result() is None


def test_what_has_not_begun_can_be_cancelled_and_threads_do_not_hold_a_process() -> None:
    begun, go = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return go.wait(10) and threading.current_thread().daemon

    first, second = side_by_side([wait, wait], 1)
    assert begun.wait(10)
    assert second.cancel() and not first.cancel()
    go.set()
    assert first.result()
    assert second.cancelled()
