"""Places that packages travel through: the keys and bytes of a binary cache, wherever they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from hf_pack.formats.hashes import Hash
    from hf_pack.ports.progress import Progress


SMALL = 1 << 20  #: bytes; no narinfo comes near


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

    def small(self, key: str, limit: int = SMALL) -> bytes | None:
        """A whole object of ``limit`` bytes at most, None where there is none; HubError for a larger one."""

    def chunks(self, key: str, offset: int, size: int | None) -> Iterator[bytes | memoryview]:
        """``size`` bytes from ``offset``, or all that follow; goes on by itself after a broken connection."""

    def put(self, key: str, contents: bytes, *, replace: bool = True) -> bool:
        """Store a small object, whole or not at all; False when not ``replace`` and one is there."""

    def upload(self, key: str, contents: Readable, progress: Progress) -> int:
        """Store a large object, whole or not at all; what an interrupted upload left is used. Returns bytes sent.

        ``contents`` is read as a whole, in order, also what is there already; what it raises, at its last byte too,
        leaves the key as it was. ``progress`` advances by its size.
        """

    def keys(self, prefix: str) -> tuple[str, ...] | None:
        """All keys with this prefix, sorted; None where the place cannot list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedNar:
    """The file that a cache keeps of a NAR. ``compression`` is a narinfo's word; ``none``: it is the NAR itself."""

    contents: Readable
    compression: str
    file_hash: Hash


class NarPacker(Protocol):
    """Decides how a NAR is kept, and makes the file."""

    def packed(
        self, nar: Readable, nar_hash: Hash, progress: Progress, *, rather_plain: bool
    ) -> AbstractContextManager[PackedNar]:
        """What a cache is to keep of this NAR, as long as it is needed. Reading it reads ``nar`` as a whole.

        ``rather_plain``: others look for the NAR by its own hash, so it is compressed only where that was asked for.
        ``progress`` advances by the NAR's size when the NAR was read here, to be compressed.
        """
