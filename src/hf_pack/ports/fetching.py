"""How a blob comes into a store: who has it, and what receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hf_pack.model.hub_ids import RepoId
    from hf_pack.model.lock import Blob
    from hf_pack.ports.progress import Progress
    from hf_pack.ports.stores import AddedBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedBlob:
    """A blob that the store lacks, and where the Hub has it."""

    blob: Blob
    repo_id: RepoId
    commit_hash: str
    path: str


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """``size`` bytes from ``offset``."""

    offset: int
    size: int


def joined(parts: Iterable[ByteRange]) -> Iterator[ByteRange]:
    """The parts, those that follow each other as one: a request each."""
    run: ByteRange | None = None
    for part in parts:
        if run is not None and run.offset + run.size == part.offset:
            run = ByteRange(run.offset, run.size + part.size)
            continue
        if run is not None:
            yield run
        run = part
    if run is not None:
        yield run


class Reception(Protocol):
    """A blob being received into a store's staging area; what is there survives a kill. Thread-safe."""

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        """The parts that are not here yet, in order; parts are of a fixed size, so the last may be shorter."""

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Bytes of a missing part, in order within the part; a part counts as here when its last byte is written."""

    def discard(self) -> None:
        """Forget all bytes (they turned out to be wrong, or of another file)."""

    def finish(self) -> AddedBlob:
        """Prove the whole file by sha256 and make it valid.

        Raises IntegrityError when the bytes are wrong; they are forgotten then, nothing became visible.
        """


class BlobFinder(Protocol):
    """A place on this machine that may have a blob's bytes as a file: the Hub's cache, another store."""

    @property
    def name(self) -> str:
        """For messages."""

    def session(self) -> AbstractContextManager[None]:
        """What is found within it stays there until its end, as far as this user can have it stay."""

    def find(self, wanted: WantedBlob) -> Path | None:
        """A file of the right size that should hold the bytes and can be opened; whoever reads it proves them.

        Raises Error when the whole place is broken.
        """


class BlobSource(Protocol):
    """One place that may have blobs: a binary cache, a mirror, the Hub by one transport."""

    @property
    def name(self) -> str:
        """For progress and errors; holds no secret."""

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """Bring the missing parts; False when it does not have the blob. Retries by itself what can be retried.

        Raises HubError when it has the blob and cannot deliver it.
        """

    def stop(self) -> None:
        """Have every fetch under way end soon with a HubError; none begins any more."""
