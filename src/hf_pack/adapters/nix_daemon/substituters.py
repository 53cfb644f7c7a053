"""The substituters of the machine's store: Nix fetches what they have, straight into the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.nix_daemon.store import NixDaemonStore
from hf_pack.ports import WantedBlob


@dataclass(frozen=True, slots=True)
class Substituters:
    """Implements :class:`hf_pack.ports.BlobFinder` for a build into this very store: what is found is valid there."""

    store: NixDaemonStore

    @property
    def name(self) -> str:
        """For messages."""
        return "a substituter of the Nix store"

    def session(self) -> AbstractContextManager[None]:
        """What was brought is protected until the end."""
        return self.store.session()

    def find(self, wanted: WantedBlob) -> Path | None:
        """The blob in the store, fetched now if need be; None when no substituter has it. Raises StoreError."""
        return self.store.substitute(wanted.blob)
