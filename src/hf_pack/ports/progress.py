"""Where long work reports to."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Where long work reports to. Thread-safe; says nothing when nobody looks."""

    def start(self, what: str, total: int) -> None:
        """A new stretch of work of ``total`` bytes begins."""

    def advance(self, size: int) -> None:
        """``size`` more bytes are done."""

    def finish(self) -> None:
        """The stretch of work ended."""

    def child(self, name: str, size: int) -> Progress:
        """Progress of one file of ``size`` bytes within this one; what it advances, this one advances too."""

    def note(self, line: str) -> None:
        """One line for the person, also in a pipe."""

    def detail(self, line: str) -> None:
        """One line for somebody who watches; dropped in a pipe."""
