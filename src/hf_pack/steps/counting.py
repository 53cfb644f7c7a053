"""Progress that also counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_pack.ports import Progress


@dataclass(slots=True)
class Count:
    """Bytes, from any thread."""

    total: int = 0
    turn: Lock = field(default_factory=Lock)

    def add(self, size: int) -> None:
        """Count ``size`` more."""
        with self.turn:
            self.total += size


@dataclass(frozen=True, slots=True)
class CountedProgress:
    """Implements :class:`hf_pack.ports.Progress`: passes everything on, and counts what it and its children advance."""

    inner: Progress
    count: Count

    def start(self, what: str, total: int) -> None:
        """See :class:`hf_pack.ports.Progress`."""
        self.inner.start(what, total)

    def advance(self, size: int) -> None:
        """See :class:`hf_pack.ports.Progress`."""
        self.count.add(size)
        self.inner.advance(size)

    def finish(self) -> None:
        """See :class:`hf_pack.ports.Progress`."""
        self.inner.finish()

    def child(self, name: str, size: int) -> CountedProgress:
        """See :class:`hf_pack.ports.Progress`."""
        return CountedProgress(self.inner.child(name, size), self.count)

    def note(self, line: str) -> None:
        """See :class:`hf_pack.ports.Progress`."""
        self.inner.note(line)

    def detail(self, line: str) -> None:
        """See :class:`hf_pack.ports.Progress`."""
        self.inner.detail(line)
