"""Progress on a terminal: a line for all bytes, one for each file under way. In a pipe only notes are printed."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from tqdm import tqdm

    from hf_pack.ports import Progress


class TerminalProgress:
    """Implements :class:`hf_pack.ports.Progress` on stderr."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._bar: tqdm[Never] | None = None
        self._lock = threading.Lock()

    def start(self, what: str, total: int) -> None:
        """Shows a line with bytes, rate and time left, on a terminal."""
        with self._lock:
            if self._watched and total > 0:
                self._bar = _bar(what, total)

    def advance(self, size: int) -> None:
        """Moves the line."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(size)

    def finish(self) -> None:
        """Takes the line away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def child(self, name: str, size: int) -> Progress:
        """A line of its own below this one."""
        child = _Child(self)
        child.start(name, size)
        return child

    def note(self, line: str) -> None:
        """Prints above the lines."""
        with self._lock:
            if self._bar is not None:
                self._bar.write(line, file=sys.stderr)
            else:
                print(line, file=sys.stderr)

    def detail(self, line: str) -> None:
        """Prints above the lines, on a terminal."""
        if self._watched:
            self.note(line)


class _Child(TerminalProgress):
    def __init__(self, parent: TerminalProgress) -> None:
        super().__init__()
        self._parent = parent

    def advance(self, size: int) -> None:
        super().advance(size)
        self._parent.advance(size)

    def note(self, line: str) -> None:
        self._parent.note(line)


def _bar(what: str, total: int) -> tqdm[Never]:
    from tqdm import tqdm

    columns, lines = _screen()
    return tqdm(
        total=total,
        desc=what[:40],
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=False,
        file=sys.stderr,
        ncols=columns,
        nrows=lines,
    )


def _screen() -> tuple[int, int]:
    """Columns and lines; those of any terminal where it has none of its own, as in a container."""
    try:
        screen = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return 80, 24
    return screen.columns or 80, screen.lines or 24
