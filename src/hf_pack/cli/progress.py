"""Progress on a terminal: one line with bytes, rate and time left. In a pipe only notes are printed."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from tqdm import tqdm


class TerminalProgress:
    """Implements :class:`hf_pack.ports.Progress` on stderr."""

    def __init__(self) -> None:
        self._bar: tqdm[Never] | None = None
        self._lock = threading.Lock()

    def start(self, what: str, total: int) -> None:
        """Shows a bar, on a terminal."""
        if not sys.stderr.isatty() or total == 0:
            return
        from tqdm import tqdm

        with self._lock:
            self._bar = tqdm(
                total=total,
                desc=what,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                leave=False,
                file=sys.stderr,
            )

    def advance(self, size: int) -> None:
        """Moves the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(size)

    def finish(self) -> None:
        """Takes the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def note(self, line: str) -> None:
        """Prints a line above the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr)
