"""The bandwidth cap, with a clock of the test's."""

from __future__ import annotations

import pytest

from hf_pack.adapters.hub.limits import Bandwidth


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_without_a_cap_nothing_waits() -> None:
    clock = Clock()
    Bandwidth(None, clock=lambda: clock.now, sleep=clock.sleep).spend(1 << 40)
    assert clock.now == 100.0


def test_the_cap_holds_over_many_pieces() -> None:
    clock = Clock()
    bandwidth = Bandwidth(1000, clock=lambda: clock.now, sleep=clock.sleep)
    for _ in range(10):
        bandwidth.spend(500)
    assert clock.now == pytest.approx(105.0)


def test_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    bandwidth = Bandwidth(1000, clock=lambda: clock.now, sleep=clock.sleep)
    clock.now += 60
    bandwidth.spend(2000)
    assert clock.now == pytest.approx(162.0)


@pytest.mark.parametrize(("rate", "piece"), [(None, 1 << 20), (8 << 20, 1 << 20), (80_000, 10_000), (10, 4096)])
def test_a_small_cap_has_small_pieces(rate: int | None, piece: int) -> None:
    assert Bandwidth(rate).piece == piece
