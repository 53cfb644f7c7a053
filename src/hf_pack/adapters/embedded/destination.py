"""The embedded store as the place that a blob is received for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded.blobs import BlobAdder, blob_info
from hf_pack.adapters.embedded.placing import Staged, place, replace
from hf_pack.disk import objects
from hf_pack.disk.object_hash import FlatHash
from hf_pack.disk.staging import staging_folder
from hf_pack.model.lock import Blob


@dataclass(frozen=True, slots=True)
class EmbeddedDestination:
    """Implements :class:`hf_pack.disk.reception.Destination`; with ``repair`` for a blob that is there and damaged."""

    adder: BlobAdder
    repair: bool = False

    @property
    def receiving(self) -> Path:
        """In the store's own file system, so that what arrived is moved in by a link."""
        return self.adder.layout.receiving

    @property
    def root(self) -> Path:
        """The store's root."""
        return self.adder.layout.root

    def has(self, blob: Blob) -> bool:
        """See :class:`hf_pack.disk.reception.Destination`."""
        return bool(self.adder.present([blob])) and not self.repair

    def make(self, blob: Blob) -> bool:
        """A link to an object of the same bytes under another name, where there is one."""
        return not self.repair and bool(self.adder.link([blob]))

    def take(self, blob: Blob, file: Path, found: FlatHash) -> None:
        """See :class:`hf_pack.disk.reception.Destination`."""
        layout = self.adder.layout
        with staging_folder(layout.staging) as staging:
            target = staging / "blob"
            # A link, so that a kill before the end leaves what was received.
            if not objects.link(file, target):
                file.rename(target)
            durable.sync(staging)
            staged = Staged(path=target, info=blob_info(blob, found.nar_hash))
            if self.repair:
                replace(staged, layout, self.adder.database, aside=staging / "damaged")
            else:
                place([staged], layout, self.adder.database)
