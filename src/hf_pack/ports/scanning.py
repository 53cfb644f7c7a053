"""Pickles that a person allowed, looked into without loading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a pickle, or a file of pickles, does when it is loaded.

    ``names`` are what it uses of Python (``module.name``) beyond what loading tensors takes, sorted; ``problem`` says
    why nobody can tell what else it does, None where all of it was understood.
    """

    names: tuple[str, ...] = ()
    problem: str | None = None


class PickleScanner(Protocol):
    """Reads pickles and the containers that `torch.save` makes of them."""

    def scan(self, stream: BinaryIO) -> Scanned:
        """Look into a seekable file. Raises what reading the stream raises."""
