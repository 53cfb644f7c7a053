"""Places that give store objects away by their store path, and by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hf_pack.formats.narinfo import NarInfo
    from hf_pack.formats.store_path import StorePath
    from hf_pack.ports.fetching import Reception
    from hf_pack.ports.progress import Progress
    from hf_pack.ports.shipping import ObjectStorage


class ObjectCache(Protocol):
    """A binary cache. Thread-safe. Nothing that it says or sends is proved here but that a narinfo is one.

    Raises HubError for what it cannot give, IntegrityError that names the object for what is damaged.
    """

    @property
    def name(self) -> str:
        """Its URL without what may be secret in it."""

    @property
    def storage(self) -> ObjectStorage:
        """What it lies on: its index by name is there."""

    def describe(self, store_path: StorePath) -> NarInfo | None:
        """What it says of the object, None when it does not have it. One request."""

    def nar(self, info: NarInfo) -> Iterator[bytes | memoryview]:
        """The object's NAR, decompressed; each chunk is gone when the next is asked for."""

    def nar_part(self, info: NarInfo, offset: int, size: int) -> bytes:
        """``size`` bytes of the NAR from ``offset``; of a compressed one all that is before them is read as well."""

    def receive(self, info: NarInfo, at: int, size: int, into: Reception, progress: Progress) -> None:
        """Bring what is missing of the file whose ``size`` bytes begin ``at`` bytes into the NAR."""

    def stop(self) -> None:
        """Have everything under way end soon with a HubError; nothing begins any more."""
