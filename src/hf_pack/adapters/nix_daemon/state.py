"""What this user keeps beside the machine's store: never an object, only what saves work and holds roots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack.disk.known_trees import KnownTrees


@dataclass(frozen=True, slots=True)
class State:
    """The parts of the directory (``$XDG_STATE_HOME/hf-pack``); it may be deleted, but for ``roots``."""

    directory: Path

    @property
    def identities(self) -> Path:
        """The sha256 of source files that were hashed before."""
        return self.directory / "identities.sqlite"

    @property
    def proofs(self) -> Path:
        """When objects of the store were last read in full and found right."""
        return self.directory / "proofs.sqlite"

    @property
    def receiving(self) -> Path:
        """Blobs on their way, until they are whole and handed to the daemon."""
        return self.directory / "receiving"

    @property
    def held(self) -> Path:
        """Blobs that arrived whole for a self-contained tree that is not made yet."""
        return self.directory / "held"

    @property
    def roots(self) -> Path:
        """Links that are GC roots: a directory for each owner."""
        return self.directory / "roots"

    @property
    def known_trees(self) -> KnownTrees:
        """Where self-contained plans led."""
        return KnownTrees(self.directory / "trees")

    def make(self) -> None:
        """Make the directory; nobody else may look into it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
