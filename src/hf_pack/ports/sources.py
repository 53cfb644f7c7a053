"""Models where they lie: on the Hub or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from hf_pack.formats.hashes import Hash
    from hf_pack.model.hub_ids import RepoId, SnapshotKind
    from hf_pack.model.manifest import HubSource, PathSource
    from hf_pack.model.source_problems import SourceProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that a source offers: path relative to it (``/`` between parts), size in bytes.

    A file on disk has ``real_path``. ``sha256`` (the LFS oid of a large file) and ``git_blob_id`` (of a small one) are
    what the Hub publishes, as far as the source knows it: what is read must agree.
    """

    path: str
    size: int
    real_path: Path | None = None
    sha256: Hash | None = None
    git_blob_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceListing:
    """What a source holds, and what it says of itself.

    ``kind`` is ``hub``, ``hf-cache``, ``snapshot``, ``local-dir``, ``git`` or ``flat``. ``repo_id`` and
    ``snapshot_id`` are None where the source does not say. ``files`` are sorted by path; nothing of a tool's own
    bookkeeping (``.git/``, ``.cache/huggingface/``, locks) is among them. ``problems`` are traps that matter only to
    whom what they hide matters.
    """

    place: str  #: directory or repo id, for messages
    kind: str
    repo_id: RepoId | None
    snapshot_id: str | None
    snapshot_kind: SnapshotKind | None
    files: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()
    gated: str | None = None  #: ``auto`` or ``manual`` for a gated repository
    problems: tuple[SourceProblem, ...] = ()
    licence: str | None = None  #: as the Hub's own metadata states it, beside the files


class Sources(Protocol):
    """Opens models where a manifest says they are."""

    def open(self, source: PathSource | HubSource) -> Source:
        """Opens and lists it; on the Hub the revision is resolved to a commit first. Raises SourceError, HubError.

        A path is as written (``~``, and relative to the workspace); its ``snapshot_id``, if any, is the snapshot
        to take.
        """


class Source(Protocol):
    """A model, opened and checked for the traps that can be seen without reading its weights."""

    @property
    def listing(self) -> SourceListing:
        """Its files."""

    def prepare(self, reads: Sequence[tuple[str, int | None]]) -> None:
        """These reads (path, first bytes or all) come next: fetch them side by side where that helps."""

    def read(self, path: str, *, size: int | None = None) -> bytes:
        """The first ``size`` bytes of a file, or all of them. Raises SourceError, HubError, IntegrityError."""

    def open(self, path: str) -> BinaryIO:
        """A file's bytes, to be read in places: seekable, read as far as asked. Raises what :meth:`read` raises.

        Of a large file on the Hub these bytes are what it sends now; they are proved when the file is built.
        """
