"""What verification and garbage collection find, as values."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Problem:
    """One thing that is wrong with a store object.

    ``path`` is the file inside the object, empty for the object itself (or for a flat blob).
    """

    store_path: StorePath
    path: str
    problem: str

    @property
    def place(self) -> str:
        """The file that is wrong, by its full path."""
        return f"{self.store_path}/{self.path}" if self.path else str(self.store_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A GC root: where it is declared, what it keeps, and the link or lock it lives as long as.

    ``elsewhere`` is the host and the store's place there, of a root that was made on another host or when the store lay
    at another path: its owner cannot be looked for from here, so that it counts.
    """

    store_path: StorePath
    declared_at: str  #: path of the root's link in the store, or of the process's temporary root
    owner: str | None  #: the ``result-*`` link or lock it belongs to; None for roots that others made
    elsewhere: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A garbage collection, done or (dry run) only computed. ``freed`` is in bytes of disk."""

    deleted: tuple[StorePath, ...]
    kept: int
    freed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A store's database made anew: what is valid now, and what nothing vouches for.

    ``old_database`` is where the database that was there is kept, None when there was none.
    """

    registered: tuple[PathInfo, ...]
    unproved: tuple[Problem, ...]
    old_database: str | None
