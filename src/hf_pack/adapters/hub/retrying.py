"""Trying again: what may pass is tried again, with growing pauses, until nothing new comes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hf_pack.adapters.hub.limits import Limits
from hf_pack.errors import HubError

_LONGEST_BACKOFF = 15.0
_ASKED_WORTH_A_LINE = 5.0  #: seconds that a server asks to wait
_PAUSE_WORTH_A_LINE = 2.0  #: of our own, which come after shorter ones that said nothing

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


class Waits:
    """Tells ``note`` of a wait: once, however many connections wait. Thread-safe."""

    def __init__(self, note: Callable[[str], None] = lambda _: None) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._until = 0.0

    def say(self, seconds: float, failure: Transient, *, is_asked: bool) -> None:
        """A wait of so many seconds begins, asked for by the server or not."""
        now = time.monotonic()
        with self._lock:
            is_said = now < self._until
            if not is_said:
                self._until = now + seconds
        if not is_said:
            what = f"waiting {seconds:.0f} s, as the Hub asks" if is_asked else f"trying again in {seconds:.0f} s"
            self._note(f"note: {what}: {failure}")


class Patience:
    """Counts the attempts in a row that brought nothing, and pauses between them.

    All that a server asked to wait in such a row is ``limits.longest_wait`` at most.
    """

    def __init__(self, limits: Limits, waits: Waits, stop: threading.Event | None = None) -> None:
        self._limits = limits
        self._waits = waits
        self._stop = stop or threading.Event()
        self._failures = 0
        self._waited = 0.0

    def progress(self) -> None:
        """Something came: start to count anew."""
        self._failures = 0
        self._waited = 0.0

    def after(self, failure: Transient) -> None:
        """Wait for the next attempt. Raises the failure's error when enough were made, or the waits are too long."""
        self._failures += 1
        asked = failure.wait or 0.0
        self._waited += asked
        if self._failures >= self._limits.attempts or self._waited > self._limits.longest_wait:
            raise failure.error
        # Half of it is chance, so that connections that failed together do not come back together.
        pause = self._limits.backoff_seconds * 2 ** (self._failures - 1) * random.uniform(0.5, 1.0)
        seconds = max(min(pause, _LONGEST_BACKOFF), asked)
        is_asked = seconds == asked
        if seconds >= (_ASKED_WORTH_A_LINE if is_asked else _PAUSE_WORTH_A_LINE):
            self._waits.say(seconds, failure, is_asked=is_asked)
        self._stop.wait(seconds)


def insist(attempt: Callable[[], Result], limits: Limits, waits: Waits) -> Result:
    """Call ``attempt`` until it succeeds. Raises HubError."""
    patience = Patience(limits, waits)
    while True:
        try:
            return attempt()
        except Transient as failure:
            patience.after(failure)
