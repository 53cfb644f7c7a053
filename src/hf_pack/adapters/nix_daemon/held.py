"""Blobs that arrived for a self-contained tree: proven files of the user's state, until the tree is made of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk.object_hash import FlatHash
from hf_pack.disk.reception import KEPT_SECONDS
from hf_pack.disk.staging import names_in, remove_tree
from hf_pack.model.lock import Blob


@dataclass(frozen=True, slots=True)
class HeldBlobs:
    """Implements :class:`hf_pack.disk.reception.Destination`: what is whole stays a file of its own for a week."""

    state: State

    @property
    def receiving(self) -> Path:
        """That of the store: what began to arrive as a blob goes on here, and the other way round."""
        return self.state.receiving

    @property
    def root(self) -> Path:
        """The user's state: it is what gets full."""
        return self.state.directory

    def has(self, blob: Blob) -> bool:
        """See :class:`hf_pack.disk.reception.Destination`. Whoever makes the tree proves the bytes again."""
        return self.find(blob) is not None

    def make(self, blob: Blob) -> bool:  # noqa: ARG002 - nothing to look at
        """Nothing is made of what is here."""
        return False

    def take(self, blob: Blob, file: Path, found: FlatHash) -> None:  # noqa: ARG002 - it is the blob's
        """See :class:`hf_pack.disk.reception.Destination`."""
        self.state.held.mkdir(exist_ok=True)
        file.replace(self._place(blob))
        os.utime(self._place(blob))  # a file that is received gets the time of store objects; here it counts

    def find(self, blob: Blob) -> Path | None:
        """Where a blob's bytes are held."""
        place = self._place(blob)
        try:
            return place if place.stat().st_size == blob.size else None
        except FileNotFoundError:
            return None

    def drop(self, blobs: Iterable[Blob]) -> None:
        """Their tree is made."""
        for blob in blobs:
            self._place(blob).unlink(missing_ok=True)

    def abandoned(self) -> tuple[Path, ...]:
        """Those that no tree was made of for a week."""
        oldest = time.time() - KEPT_SECONDS
        found = []
        for name in sorted(names_in(self.state.held)):
            try:
                if os.stat(self.state.held / name).st_mtime < oldest:  # noqa: PTH116
                    found.append(self.state.held / name)
            except FileNotFoundError:
                continue
        return tuple(found)

    def remove_abandoned(self) -> int:
        """Remove them; returns the bytes of disk that this frees."""
        return sum(remove_tree(path) for path in self.abandoned())

    def _place(self, blob: Blob) -> Path:
        return self.state.held / blob.sha256.hex()
