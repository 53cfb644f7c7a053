"""How long a server that asks to wait is waited for, and who hears of it."""

from __future__ import annotations

import threading
import time

import pytest

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.retrying import Patience, Transient, Waits
from hf_pack.errors import HubError

LIMITED = HubError("the rate limit is reached\n  org/name")


def impatient(limits: Limits, waits: Waits) -> Patience:
    """It waits for nothing: it was stopped."""
    stop = threading.Event()
    stop.set()
    return Patience(limits, waits, stop)


def survives(patience: Patience, *waits: float | None) -> bool:
    try:
        for wait in waits:
            patience.after(Transient(LIMITED, wait=wait))
    except HubError as error:
        assert error is LIMITED
        return False
    return True


def test_all_waits_in_a_row_are_bounded_together() -> None:
    limits = Limits(longest_wait=310.0)
    assert survives(impatient(limits, Waits()), 300.0)
    assert not survives(impatient(limits, Waits()), 300.0, 300.0)
    assert survives(impatient(limits, Waits()), 60.0, None, 60.0, 60.0, 60.0)
    assert not survives(impatient(limits, Waits()), 311.0)
    patience = impatient(limits, Waits())
    for _ in range(10):
        assert survives(patience, 300.0)
        patience.progress()


def test_attempts_without_a_wait_are_counted() -> None:
    assert survives(impatient(Limits(attempts=4), Waits()), None, 0.0, None)
    assert not survives(impatient(Limits(attempts=4), Waits()), None, 0.0, None, None)


def test_a_long_wait_is_said_once_however_many_meet_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines: list[str] = []
    waits = Waits(lines.append)
    for _ in range(16):
        impatient(Limits(), waits).after(Transient(LIMITED, wait=300.0))
    assert lines == ["note: waiting 300 s, as the Hub asks: the rate limit is reached"]
    now += 299
    impatient(Limits(), waits).after(Transient(LIMITED, wait=20.0))
    assert len(lines) == 1
    now += 2
    impatient(Limits(), waits).after(Transient(LIMITED, wait=20.0))
    assert lines[1:] == ["note: waiting 20 s, as the Hub asks: the rate limit is reached"]


def test_a_short_wait_is_not_worth_a_line() -> None:
    lines: list[str] = []
    assert survives(impatient(Limits(), Waits(lines.append)), 1.0, None)
    assert lines == []


def test_a_pause_that_grew_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    lines: list[str] = []
    patience = impatient(Limits(backoff_seconds=0.5), Waits(lines.append))
    assert survives(patience, None, None) and lines == []
    assert survives(patience, 1.0)
    assert lines == ["note: trying again in 2 s: the rate limit is reached"]
