"""A repository of a container registry, or a directory in the same form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hf_pack.ports.progress import Progress
    from hf_pack.ports.shipping import Readable


class Repository(Protocol):
    """Blobs and manifests by digest, manifests by tag. Thread-safe. Raises HubError for what fails."""

    @property
    def name(self) -> str:
        """Its address without a tag; holds no secret."""

    def has(self, digest: str) -> bool:
        """Whether the blob is there. One request."""

    def upload(self, digest: str, contents: Readable, progress: Progress) -> int:
        """Store a blob, whole or not at all; what an interrupted upload left is used where the registry keeps it.

        Returns the bytes sent. Raises IntegrityError when the contents are not those of the digest.
        """

    def manifest(self, reference: str) -> tuple[str, bytes] | None:
        """Media type and bytes of what a tag or digest names; None where there is none.

        Raises IntegrityError for other bytes than the digest's.
        """

    def put_manifest(self, media_type: str, data: bytes, tag: str | None = None) -> None:
        """Store a manifest under its digest and, when one is given, the tag."""

    def chunks(self, digest: str, offset: int, size: int) -> Iterator[bytes | memoryview]:
        """Bytes of a blob, not proved; goes on by itself after a broken connection. Each chunk is gone when the next is
        asked for."""

    def stop(self) -> None:
        """Have what is under way end soon with a HubError."""


class LayerDigests(Protocol):
    """Digests of layers that were computed once; a wrong one makes the registry refuse the layer, no more."""

    def find(self, key: str) -> str | None:
        """The digest, None when it is not known."""

    def remember(self, key: str, digest: str) -> None:
        """Keep it as far as that is possible."""
