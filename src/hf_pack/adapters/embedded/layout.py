"""Where the parts of an embedded store lie: Nix's own places below a root, and ours beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hf_pack.disk.known_trees import KnownTrees
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import STORE_DIR, StorePath

LINKS = ".links"  #: the directory in the store directory that ``nix-store --optimise`` keeps


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """The paths of a store below ``root``, which is absolute and free of symbolic links.

    Nix refuses a store whose directory, or one above it, is a symbolic link.
    """

    root: Path

    @classmethod
    def at(cls, root: Path) -> StoreLayout:
        """The layout below ``root``, with symbolic links resolved."""
        return cls(Path(os.path.realpath(root)))

    @property
    def store_dir(self) -> Path:
        """Holds the store objects."""
        return self.root / "nix" / "store"

    @property
    def links_dir(self) -> Path:
        """Hard links to optimised files, named by NAR hash."""
        return self.store_dir / LINKS

    @property
    def state_dir(self) -> Path:
        """Nix's own state."""
        return self.root / "nix" / "var" / "nix"

    @property
    def database_dir(self) -> Path:
        """Holds the database, its schema number and the lock around schema changes."""
        return self.state_dir / "db"

    @property
    def database(self) -> Path:
        """The SQLite file of valid paths and references."""
        return self.database_dir / "db.sqlite"

    @property
    def schema(self) -> Path:
        """A file with the number of the database's schema."""
        return self.database_dir / "schema"

    @property
    def gc_roots(self) -> Path:
        """The tree of links in which a collector looks for roots."""
        return self.state_dir / "gcroots"

    @property
    def our_roots(self) -> Path:
        """Our part of it: one directory for each owner."""
        return self.gc_roots / "hf-pack"

    @property
    def profiles(self) -> Path:
        """Nix profiles; their links are roots too."""
        return self.state_dir / "profiles"

    @property
    def temp_roots(self) -> Path:
        """One file of temporary roots for each process."""
        return self.state_dir / "temproots"

    @property
    def gc_lock(self) -> Path:
        """Held exclusively by a running collector, shared for a moment by whoever adds a temporary root."""
        return self.state_dir / "gc.lock"

    @property
    def gc_socket(self) -> Path:
        """Where a running collector is told of new temporary roots."""
        return self.state_dir / "gc-socket" / "socket"

    @property
    def own_dir(self) -> Path:
        """What only this tool reads: staging, receptions, identities, proofs, known trees."""
        return self.root / "nix" / "var" / "hf-pack"

    @property
    def staging(self) -> Path:
        """Objects in the making; the same file system as the store, so that a rename moves them in."""
        return self.own_dir / "staging"

    @property
    def receiving(self) -> Path:
        """For each blob that comes from elsewhere a directory named by its sha256 (hex): what is here of it."""
        return self.own_dir / "receiving"

    @property
    def known_trees(self) -> KnownTrees:
        """Where self-contained plans led."""
        return KnownTrees(self.own_dir / "trees")

    @property
    def identities(self) -> Path:
        """The sha256 of source files that were hashed before."""
        return self.own_dir / "identities.sqlite"

    @property
    def proofs(self) -> Path:
        """When objects were last read in full and found right."""
        return self.own_dir / "proofs.sqlite"

    @property
    def roots_lock(self) -> Path:
        """Held while our roots change."""
        return self.own_dir / "roots.lock"

    @property
    def directories(self) -> tuple[Path, ...]:
        """All directories of an empty store."""
        return (
            self.store_dir, self.database_dir, self.gc_roots, self.temp_roots, self.profiles, self.staging,
        )  # fmt: skip

    def real_path(self, store_path: StorePath) -> Path:
        """Where the object lies, or would lie."""
        return self.store_dir / store_path.base_name

    def store_path_of(self, target: str) -> StorePath | None:
        """The object that an absolute path is or lies in, by its logical or by its real name."""
        for prefix in (STORE_DIR + "/", f"{self.store_dir}/"):
            if target.startswith(prefix):
                try:
                    return StorePath.parse_base_name(target[len(prefix) :].split("/", 1)[0])
                except FormatError:
                    return None
        return None
