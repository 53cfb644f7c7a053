"""The lock: the exact files of a package (``models/<name>.lock``).

A value of this module holds no absolute path, time or inode: two machines that lock the same bytes write the
same lock. :mod:`hf_pack.model.lock_document` reads and writes its JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_path, sanitize_name
from hf_pack.model.gates import Finding
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.json_value import JsonObject
from hf_pack.model.manifest import Selection

BLOB_THRESHOLD = 1_048_576  #: bytes; a file over it is a blob whatever its name

#: File name endings of weight formats: these are blobs at any size.
WEIGHT_SUFFIXES = (
    ".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npz", ".npy",
    ".msgpack", ".h5", ".onnx", ".onnx_data", ".ot", ".tflite", ".engine", ".model.bin",
)  # fmt: skip


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class FileDigest:
    """Size in bytes and sha256 of some bytes."""

    size: int
    sha256: Hash


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Blob:
    """A large file as a store object of its own: flat, ``fixed:out:sha256``, never executable."""

    name: str  #: the store object's name, made from the file's base name
    sha256: Hash
    size: int

    @property
    def store_path(self) -> StorePath:
        """The path that ``fetchurl`` of these bytes under this name gives."""
        return flat_path(self.name, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """One packaged file, its final bytes (after patches)."""

    path: str  #: relative, ``/`` between parts
    size: int
    sha256: Hash
    original: FileDigest | None = None  #: the source's bytes, when patches changed them
    git_blob_id: str | None = None  #: sha1 of the Hub's git blob (of a large file: its LFS pointer)

    @property
    def is_blob(self) -> bool:
        """Whether the bytes are a store object of their own: by name and size alone (DESIGN.md, section 1)."""
        return is_blob(self.path, self.size)

    @property
    def digest(self) -> FileDigest:
        """Of the final bytes."""
        return FileDigest(size=self.size, sha256=self.sha256)

    @property
    def blob(self) -> Blob:
        """The store object of the bytes; only blobs are ever added under it."""
        return Blob(name=sanitize_name(self.path.rsplit("/", 1)[-1]), sha256=self.sha256, size=self.size)

    @property
    def kept_beside_lock(self) -> bool:
        """Whether the bytes lie in ``models/<name>.files/``: small files, and patched ones of any size."""
        return not self.is_blob or self.original is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedFile:
    """A file of the source that is not packaged, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPatch:
    """A patch as it was applied: the manifest's entry, and the bytes before and after it."""

    file: str
    reason: str
    definition: JsonObject  #: the manifest's entry as JSON, without ``file`` and ``reason``
    replacement: FileDigest | None  #: of the file that ``replace`` names
    before: FileDigest
    after: FileDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSource:
    """Which snapshot was locked, and what the manifest asked for (None: it did not say)."""

    repo_id: RepoId
    snapshot_id: str
    snapshot_kind: SnapshotKind
    asked_repo_id: RepoId | None = None
    asked_revision: str | None = None  #: HubSource.revision or PathSource.snapshot_id
    gated: str | None = None  #: ``auto`` or ``manual``: the Hub asks for consent before it gives the files

    @property
    def wanted_snapshot(self) -> str | None:
        """The snapshot to look for in a source that may hold several; None for one that is only its files."""
        return None if self.snapshot_kind is SnapshotKind.CONTENT else self.snapshot_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """What the headers and configuration say about the model, so that `show` needs no weights."""

    architectures: tuple[str, ...] = ()
    model_type: str | None = None
    dtype: str | None = None
    context_length: int | None = None
    parameters: int | None = None
    bytes_by_dtype: tuple[tuple[str, int], ...] = ()
    quantization_method: str = "none"
    quantization_scheme: str = "none"  #: the compatibility matrix's row
    quantization_bits: int | None = None
    quantization_group_size: int | None = None  #: weights that share a scale
    quantization_activations: str | None = None  #: ``static``, ``dynamic``; None where they stay 16 bits
    quantization_broken: bool = False  #: runtimes do not load it; ``notes`` say why
    weight_parts: tuple[tuple[str, int], ...] = ()  #: bytes by ``<part> <dtype>`` (hf_pack.weights.tensor_parts)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The exact content of a package. ``files`` are sorted by path and never empty."""

    layout_version: int
    source: LockedSource
    selection: Selection
    files: tuple[LockedFile, ...]
    omitted: tuple[OmittedFile, ...] = ()
    patches: tuple[AppliedPatch, ...] = ()
    licence: str | None = None
    model: ModelSummary = field(default_factory=ModelSummary)
    provenance: tuple[tuple[str, str], ...] = ()  #: facts imported from a quantizer's side files
    findings: tuple[Finding, ...] = ()  #: what the gates found and the manifest allowed, sorted

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The distinct store objects of the large files, sorted."""
        return tuple(sorted({file.blob for file in self.files if file.is_blob}))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def is_blob(path: str, size: int) -> bool:
    """Whether a file of this name and size (bytes) is a blob: a weight format, or over 1,048,576 bytes."""
    return size > BLOB_THRESHOLD or path.lower().endswith(WEIGHT_SUFFIXES)
