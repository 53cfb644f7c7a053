"""What this user keeps beside the machine's store: never an object, only what saves work and holds roots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack.durable import replace_symlink
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath


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
    def known_trees(self) -> Path:
        """For each plan digest of a self-contained tree a link to the store path that it gave."""
        return self.directory / "trees"

    def make(self) -> None:
        """Make the directory; nobody else may look into it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def known_tree(self, plan_digest: Hash) -> StorePath | None:
        """The path that a plan gave before; it follows from what the digest covers."""
        try:
            return StorePath.parse_base_name(str((self.known_trees / plan_digest.nix32()).readlink()))
        except (OSError, FormatError):
            return None

    def remember_tree(self, plan_digest: Hash, store_path: StorePath) -> None:
        """The path that a plan gave."""
        if self.known_tree(plan_digest) != store_path:
            self.known_trees.mkdir(parents=True, exist_ok=True)
            replace_symlink(self.known_trees / plan_digest.nix32(), store_path.base_name)
