"""Places that packages travel through: the keys and bytes of a binary cache, wherever they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hf_pack.ports.progress import Progress


class Readable(Protocol):
    """Bytes of a known size that can be read from any place, again and again: an upload goes on where it broke."""

    @property
    def size(self) -> int:
        """In bytes."""

    def chunks(self, offset: int, size: int) -> Iterator[bytes | memoryview]:
        """``size`` bytes from ``offset``; each chunk is gone when the next is asked for."""


class ObjectStorage(Protocol):
    """Objects by key (``/`` between parts, never a leading one). Thread-safe. Raises HubError for what fails."""

    @property
    def name(self) -> str:
        """Its URL without what may be secret in it."""

    def size_of(self, key: str) -> int | None:
        """The size in bytes of an object, None where there is none. One request."""

    def small(self, key: str) -> bytes | None:
        """A whole small object (1 MiB at most), None where there is none."""

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        """``size`` bytes from ``offset``, or all that follow; goes on by itself after a broken connection."""

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """Store a small object, whole or not at all; False when not ``replace`` and one is there."""

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """Store a large object, whole or not at all; what an interrupted upload left is used. Returns bytes sent."""

    def keys(self, prefix: str) -> tuple[str, ...] | None:
        """All keys with this prefix, sorted; None where the place cannot list."""
