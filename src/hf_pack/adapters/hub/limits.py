"""What the network may cost: connections, bandwidth, patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps for all requests of one command together.

    Memory stays below ``connections`` times 2 MiB for HTTP; the Xet client's buffers are held to ``xet_buffer``.
    """

    connections: int = 8
    bytes_per_second: int | None = None  #: over all connections; None: as fast as it goes
    stall_seconds: float = 12.0  #: a connection that brings (almost) nothing for so long is cut
    connect_seconds: float = 10.0
    attempts: int = 6  #: tries in a row that bring nothing
    backoff_seconds: float = 0.5  #: pause after the first of them; doubles
    longest_wait: float = 310.0  #: seconds that a server may ask for in a row; the Hub's limits have windows of 300
    xet_buffer: int = 256 << 20  #: bytes


class Bandwidth:
    """A token bucket that all connections draw from. Thread-safe."""

    def __init__(
        self,
        bytes_per_second: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def piece(self) -> int:
        """The most bytes to read between two calls of :meth:`spend`, so that a small cap stays smooth."""
        return 1 << 20 if self._rate is None else max(4096, min(1 << 20, self._rate // 8))

    def spend(self, size: int) -> None:
        """Account for ``size`` bytes that came, and wait until the cap allows more."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + size / self._rate
            pause = self._free_at - now
        self._sleep(pause)
