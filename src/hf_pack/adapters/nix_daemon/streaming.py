"""Self-contained trees of files wherever they lie: nothing but the tree enters the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hf_pack.adapters.nix_daemon.held import HeldBlobs
from hf_pack.adapters.nix_daemon.trees import TreeAdder
from hf_pack.disk.identities import Identities
from hf_pack.model.lock import Blob
from hf_pack.model.plan import Plan
from hf_pack.ports import AddedTree, HashedFile, Progress, Reception


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamer:
    """Implements :class:`hf_pack.ports.TreeStreamer`. ``writing`` is a session that turns OSError into StoreError."""

    trees: TreeAdder
    held: HeldBlobs
    identities: Identities
    writing: Callable[[str], AbstractContextManager[None]]

    def hash_files(self, files: Sequence[Path], progress: Progress) -> tuple[HashedFile, ...]:
        """See :class:`hf_pack.ports.TreeStreamer`."""
        from hf_pack.disk.hash_files import hash_files

        with self.writing("hash the source"):
            return hash_files(files, self.identities, progress)

    def hold(self, blob: Blob) -> AbstractContextManager[Reception | None]:
        """See :class:`hf_pack.ports.TreeStreamer`."""
        from hf_pack.disk.reception import receiving_within

        return receiving_within(self.writing("receive a file"), blob, self.held)

    def add_tree(
        self, plan: Plan, files: Mapping[Blob, Path], progress: Progress, *, repair: bool = False
    ) -> AddedTree:
        """See :class:`hf_pack.ports.TreeStreamer`."""
        with self.writing("add the package to the store"):
            make = partial(self.trees.stream, repair=True) if repair else self.trees.add
            return make(plan, progress, files)
