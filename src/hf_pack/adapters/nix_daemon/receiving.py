"""The machine's store as the place that a blob is received for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event

from hf_pack.adapters.nix_daemon.blobs import BlobAdder
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk.object_hash import FlatHash
from hf_pack.model.lock import Blob
from hf_pack.ports import FileToAdd


@dataclass(frozen=True, slots=True)
class DaemonDestination:
    """Implements :class:`hf_pack.disk.reception.Destination`: a blob arrives in the user's state, since nobody but the
    daemon writes below the store, and is streamed into it when it is whole."""

    adder: BlobAdder
    state: State
    repair: bool = False  #: what comes takes the place of a blob that is there and damaged

    @property
    def receiving(self) -> Path:
        """In the user's state."""
        return self.state.receiving

    @property
    def root(self) -> Path:
        """The user's state: it is what gets full."""
        return self.state.directory

    def has(self, blob: Blob) -> bool:
        """See :class:`hf_pack.disk.reception.Destination`."""
        return self.adder.present(blob) is not None and not self.repair

    def make(self, blob: Blob) -> bool:  # noqa: ARG002 - nothing to look at
        """Nothing that lies in the store is known by its bytes."""
        return False

    def take(self, blob: Blob, file: Path, found: FlatHash) -> None:
        """See :class:`hf_pack.disk.reception.Destination`."""
        proven = FileToAdd(name=blob.name, real_path=file, expected=found.sha256)
        self.adder.stream(proven, lambda _size: None, Event(), repair=self.repair)
