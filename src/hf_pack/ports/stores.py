"""Nix stores: the embedded one, and the machine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hf_pack.formats.hashes import Hash
    from hf_pack.formats.narinfo import NarInfo
    from hf_pack.formats.signing import PublicKey
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.findings import Collection, Problem, Root
    from hf_pack.model.lock import Blob, FileDigest
    from hf_pack.model.path_info import PathInfo
    from hf_pack.model.plan import Plan
    from hf_pack.ports.fetching import Reception
    from hf_pack.ports.progress import Progress
    from hf_pack.ports.shipping import Readable


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
class HashedFile:
    """What a file holds, and the bytes that were read to know it (0 when it was known)."""

    digest: FileDigest
    bytes_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFiles:
    """Places inside a package: its ``hf-pack.json``, and the directory with the model's files; and what names say."""

    provenance: str
    files: str
    triton_model_name: str | None
    build_version: int | None = None


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

    def with_digest(self, digest: str) -> StorePath | None:
        """The valid path whose base name begins with these 32 characters."""

    def session(self) -> AbstractContextManager[None]:
        """Keeps every path added or touched within it from any garbage collector."""

    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """Protect these paths for the session; returns those that are valid, which stay so until it ends."""

    def hold(self, store_paths: Iterable[StorePath]) -> None:
        """Protect these paths from collectors until the process ends, whatever program it becomes."""

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """Copy and hash files into the store in one pass, in the order given; each is valid at return.

        A file that is already there, by hash or by recorded identity, is not read again or not written again.
        Raises StoreError (full disk with what was needed), IntegrityError.
        """

    def receive(self, blob: Blob, *, repair: bool = False) -> AbstractContextManager[Reception | None]:
        """Receive a blob from elsewhere; None when it is valid already. One process at a time receives a blob: others
        wait, and find it valid. With ``repair`` what comes takes the place of one that is there, and is never None.
        Raises StoreError (full disk with what was needed)."""

    def add_tree(self, plan: Plan, progress: Progress) -> AddedTree:
        """Make and register the plan's tree; its blobs are valid already. All or nothing."""

    def find_tree(self, plan: Plan, claimed: StorePath | None = None) -> AddedTree | None:
        """The plan's tree, protected, when it is valid and where the plan or this store's memory of it says.

        A self-contained one may also be where somebody ``claimed``: it is compared with the plan, once, and
        remembered.
        """

    @property
    def streamer(self) -> TreeStreamer | None:
        """How self-contained trees are made where they share no bytes with blobs; None where they are made of blobs."""

    def substitute(self, sizes: Mapping[StorePath, int], progress: Progress) -> frozenset[StorePath]:
        """Have the store's own substituters bring those of the paths that they have, side by side; returns these.

        ``sizes`` are the NAR sizes, in bytes. What fails is noted and left out; they need no trust of ours, since the
        store checks what they give.
        """

    def add_object(
        self,
        info: NarInfo,
        nar: Iterable[bytes | memoryview],
        *,
        trusted_keys: Sequence[PublicKey] = (),
        repair: bool = False,
    ) -> None:
        """Make an object of any kind valid by its NAR, all or nothing; what it refers to is valid already.

        Its content address proves it. One without needs a signature: by one of ``trusted_keys``, or in the machine's
        store by whom Nix's own settings trust. A chunk of ``nar`` may be overwritten once the next is asked for, and
        nothing is read when the object is there; with ``repair`` it takes the place of one that is. Raises
        IntegrityError that names the object, PolicyError for a missing signature, StoreError.
        """

    def check(self, store_path: StorePath, progress: Progress, *, sha256: Hash | None = None) -> tuple[Problem, ...]:
        """Re-hash an object against what the store recorded, and its path against its content address.

        With ``sha256`` it must be a plain file of these bytes, whatever the store recorded. Empty when all is well,
        which is remembered for :meth:`proved`.
        """

    def proved(self, objects: Mapping[StorePath, Hash | None]) -> dict[StorePath, int]:
        """When :meth:`check` last found each object right, with that sha256, in seconds since the epoch by this
        machine's clock. Left out is what was never checked and what changed since, by the identity of its files."""

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

    def nar(self, store_path: StorePath) -> Readable:
        """The NAR of a valid object, made while it is read. Raises StoreError."""

    def add_root(self, owner: Path, store_paths: Iterable[StorePath]) -> None:
        """Root these paths as long as the file or link ``owner`` exists, in place of its earlier ones."""

    def roots(self) -> tuple[Root, ...]:
        """All live GC roots, temporary ones included."""

    def collect_garbage(self, *, dry_run: bool) -> Collection:
        """Delete what no root reaches, or say what would go; safe beside running builds and Nix."""


class TreeStreamer(Protocol):
    """Makes self-contained trees of files wherever they lie, in one pass and without blobs: one copy on the disk."""

    def hash_files(self, files: Sequence[Path], progress: Progress) -> tuple[HashedFile, ...]:
        """Size and sha256 of files, in the order given; one whose identity is recorded is not read again."""

    def hold(self, blob: Blob) -> AbstractContextManager[Reception | None]:
        """Receive a blob's bytes from elsewhere, to be kept until its tree is made; None when they are held already."""

    def add_tree(
        self, plan: Plan, files: Mapping[Blob, Path], progress: Progress, *, repair: bool = False
    ) -> AddedTree:
        """Make and register the tree; what ``files`` lacks is held, or valid in the store. All or nothing.

        Every byte is proved by the blob's sha256 as it is read. With ``repair`` it takes the place of one that is.
        Raises IntegrityError that names the file, StoreError.
        """
