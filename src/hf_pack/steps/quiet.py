"""Progress that nobody looks at."""

from __future__ import annotations

from typing import Final


class Quiet:
    """Implements :class:`hf_pack.ports.Progress` and says nothing."""

    def start(self, what: str, total: int) -> None:
        """Ignored."""

    def advance(self, size: int) -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""

    def child(self, name: str, size: int) -> Quiet:  # noqa: ARG002 - the port names them
        """As quiet."""
        return self

    def note(self, line: str) -> None:
        """Ignored."""

    def detail(self, line: str) -> None:
        """Ignored."""


QUIET: Final = Quiet()
