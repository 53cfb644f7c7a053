"""The ports: what the steps ask of the outside world.

Every method is about values of :mod:`hf_pack.model` and :mod:`hf_pack.formats`; adapters raise only
:class:`hf_pack.errors.Error`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hf_pack.formats.hashes import Hash
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.findings import Collection, Problem, Root
    from hf_pack.model.hub_ids import RepoId, SnapshotKind
    from hf_pack.model.lock import Blob
    from hf_pack.model.manifest import HubSource, PathSource
    from hf_pack.model.path_info import PathInfo
    from hf_pack.model.plan import Plan
    from hf_pack.model.source_problems import SourceProblem


class Progress(Protocol):
    """Where long work reports to. Thread-safe; says nothing when nobody looks."""

    def start(self, what: str, total: int) -> None:
        """A new stretch of work of ``total`` bytes begins."""

    def advance(self, size: int) -> None:
        """``size`` more bytes are done."""

    def finish(self) -> None:
        """The stretch of work ended."""

    def child(self, name: str, size: int) -> Progress:
        """Progress of one file of ``size`` bytes within this one; what it advances, this one advances too."""

    def note(self, line: str) -> None:
        """One line for the person, also in a pipe."""

    def detail(self, line: str) -> None:
        """One line for somebody who watches; dropped in a pipe."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToAdd:
    """A file on disk to become a blob. ``expected`` refuses any other bytes (IntegrityError)."""

    name: str  #: the store object's name, already made legal
    real_path: Path
    expected: Hash | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedBlob:
    """A blob that is now valid in the store, and what that cost in bytes."""

    blob: Blob
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedTree:
    """A tree that is now valid in the store, and what that cost in bytes."""

    info: PathInfo
    bytes_read: int
    bytes_written: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFiles:
    """Places inside a package: its ``hf-pack.json``, and the directory with the model's files."""

    provenance: str
    files: str


class Store(Protocol):
    """A Nix store. Paths are logical (``/nix/store/…``); ``real_path`` says where one lies on this machine."""

    @property
    def url(self) -> str:
        """How the store is called on the command line."""

    def real_path(self, store_path: StorePath) -> Path:
        """Where the object lies (or would lie) on this machine."""

    def path_info(self, store_path: StorePath) -> PathInfo | None:
        """What the store knows of a path, None when it is not valid."""

    def valid_paths(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        """Which of these paths are valid."""

    def all_paths(self) -> tuple[PathInfo, ...]:
        """Every valid path, sorted."""

    def named(self, name: str) -> tuple[StorePath, ...]:
        """Every valid path of this name, sorted."""

    def session(self) -> AbstractContextManager[None]:
        """Keeps every path added or touched within it from any garbage collector."""

    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """Protect these paths for the session; returns those that are valid, which stay so until it ends."""

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """Copy and hash files into the store in one pass, in the order given; each is valid at return.

        A file that is already there, by hash or by recorded identity, is not read again or not written again.
        Raises StoreError (full disk with what was needed), IntegrityError.
        """

    def receive(self, blob: Blob) -> AbstractContextManager[Reception | None]:
        """Receive a blob from elsewhere; None when it is valid already. One process at a time receives a blob: others
        wait, and find it valid. Raises StoreError (full disk with what was needed)."""

    def add_tree(self, plan: Plan, progress: Progress) -> AddedTree:
        """Make and register the plan's tree; its blobs are valid already. All or nothing."""

    def check(self, store_path: StorePath, progress: Progress, *, sha256: Hash | None = None) -> tuple[Problem, ...]:
        """Re-hash an object against what the store recorded, and its path against its content address.

        With ``sha256`` it must be a plain file of these bytes, whatever the store recorded. Empty when all is well.
        """

    def replace_blob(self, file: FileToAdd, blob: Blob, progress: Progress) -> None:
        """Put proven bytes in the place of a damaged or missing blob."""

    def replace_tree(self, plan: Plan, progress: Progress) -> None:
        """Make a damaged or missing tree anew in its place."""

    def compare(self, plan: Plan, store_path: StorePath) -> tuple[Problem, ...]:
        """Which entries of the tree on disk are not those of the plan; names each file."""

    def package_files(self, store_path: StorePath) -> PackageFiles | None:
        """Where a package keeps its things; None when the object is no package of ours. One look, no file read."""

    def read(self, store_path: StorePath, inside: str = "", *, offset: int = 0, size: int | None = None) -> bytes:
        """Bytes of a file of an object; links to sibling objects are followed. Raises StoreError."""

    def add_root(self, owner: Path, store_paths: Iterable[StorePath]) -> None:
        """Root these paths as long as the file or link ``owner`` exists, in place of its earlier ones."""

    def roots(self) -> tuple[Root, ...]:
        """All live GC roots, temporary ones included."""

    def collect_garbage(self, *, dry_run: bool) -> Collection:
        """Delete what no root reaches, or say what would go; safe beside running builds and Nix."""


class Workspace(Protocol):
    """The files of a workspace (DESIGN.md, section 4), as bytes; every write is atomic and durable."""

    @property
    def root(self) -> Path:
        """The directory that holds ``hf-pack.toml``."""

    def names(self) -> tuple[str, ...]:
        """The stems of all manifests, sorted."""

    def read(self, relative: str) -> bytes | None:
        """A file's bytes, None when it is not there."""

    def read_at(self, revision: str, relative: str) -> bytes | None:
        """A file's bytes at a git revision of the workspace, None when git has no such file there."""

    def exists(self, relative: str) -> bool:
        """Whether a file is there."""

    def write(self, relative: str, contents: bytes) -> None:
        """Replace a file."""

    def kept_files(self, name: str) -> tuple[str, ...]:
        """The relative paths below ``models/<name>.files/``, sorted."""

    def replace_kept_files(self, name: str, contents: Sequence[tuple[str, bytes]]) -> None:
        """Make ``models/<name>.files/`` hold exactly these files."""

    def require_writable(self) -> None:
        """Raises UsageError when this user cannot write here, before long work is done in vain."""

    def result_target(self, name: str) -> Path | None:
        """Where ``result-<name>`` points to; None when there is no such link."""

    def link_result(self, name: str, target: Path) -> Path:
        """Point ``result-<name>`` to ``target``; returns the link's own path."""

    def git_head(self) -> str | None:
        """The commit of the workspace's HEAD (40 hex digits), None without git or before the first commit."""
