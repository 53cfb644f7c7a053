"""Trying again: what may pass is tried again, with growing pauses, until nothing new comes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from hf_pack.adapters.hub.limits import Limits
from hf_pack.errors import HubError

_LONGEST_BACKOFF = 15.0

Result = TypeVar("Result")


class Transient(Exception):  # noqa: N818 - a state of the network, not an error to report
    """An attempt failed, another may not. ``error`` is what to report when no more are made.

    ``wait`` is what the server asked for, in seconds; ``stalled`` that the connection brought nothing.
    """

    def __init__(self, error: HubError, *, wait: float | None = None, stalled: bool = False) -> None:
        super().__init__(error.message.partition("\n")[0])
        self.error = error
        self.wait = wait
        self.stalled = stalled


class Patience:
    """Counts the attempts in a row that brought nothing, and pauses between them."""

    def __init__(self, limits: Limits, stop: threading.Event | None = None) -> None:
        self._limits = limits
        self._stop = stop or threading.Event()
        self._failures = 0

    def progress(self) -> None:
        """Something came: start to count anew."""
        self._failures = 0

    def after(self, failure: Transient) -> None:
        """Wait for the next attempt. Raises the failure's error when enough were made, or the wait is too long."""
        self._failures += 1
        if self._failures >= self._limits.attempts:
            raise failure.error
        if failure.wait is not None and failure.wait > self._limits.longest_wait:
            raise failure.error
        # Half of it is chance, so that connections that failed together do not come back together.
        pause = self._limits.backoff_seconds * 2 ** (self._failures - 1) * random.uniform(0.5, 1.0)
        self._stop.wait(max(min(pause, _LONGEST_BACKOFF), failure.wait or 0.0))


def insist(attempt: Callable[[], Result], limits: Limits) -> Result:
    """Call ``attempt`` until it succeeds. Raises HubError."""
    patience = Patience(limits)
    while True:
        try:
            return attempt()
        except Transient as failure:
            patience.after(failure)
