"""The plan: every entry of a package as a value, before a weight byte moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, recursive_path
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularFile:
    """A file of the tree: its bytes, or the blob that holds them (self-contained packages). Never executable."""

    path: str
    contents: bytes | Blob

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.contents) if isinstance(self.contents, bytes) else self.contents.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Symlink:
    """A relative link: to another place of the tree, or to a sibling blob in the store (then ``blob`` is set)."""

    path: str
    target: str
    blob: Blob | None = None


Entry = RegularFile | Symlink


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a package contains. ``name`` is the store name; ``entries`` are sorted by path, directories are implied."""

    name: str
    storage: Storage
    entries: tuple[Entry, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """The distinct blobs that the tree links to or is made of, sorted."""
        found = {
            blob
            for entry in self.entries
            if (blob := entry.blob if isinstance(entry, Symlink) else entry.contents) is not None
            and isinstance(blob, Blob)
        }
        return tuple(sorted(found))

    @property
    def references(self) -> tuple[StorePath, ...]:
        """Store paths that the tree refers to: its blobs when linked, nothing when self-contained."""
        if self.storage is Storage.SELF_CONTAINED:
            return ()
        return tuple(sorted(blob.store_path for blob in self.blobs))

    @property
    def nar_size(self) -> int:
        """Bytes of the tree's NAR, from metadata alone."""
        return nar.size(self.nar_tree(_no_bytes))

    @property
    def closure_size(self) -> int:
        """NAR bytes of the tree and of all objects it refers to."""
        linked = self.blobs if self.storage is Storage.LINKED else ()
        return self.nar_size + sum(nar.file_size(blob.size) for blob in linked)

    def nar_hash(self) -> Hash | None:
        """sha256 of the tree's NAR, or None when that needs the weights' bytes (self-contained)."""
        if any(isinstance(entry, RegularFile) and isinstance(entry.contents, Blob) for entry in self.entries):
            return None
        return nar.hash_and_size(self.nar_tree(_no_bytes))[0]

    def store_path(self) -> StorePath | None:
        """Where the package goes: ``source:`` with references; None when that needs the weights' bytes."""
        nar_hash = self.nar_hash()
        return None if nar_hash is None else recursive_path(self.name, nar_hash, self.references)

    def digest(self) -> Hash:
        """sha256 over the plan's canonical JSON; equal plans have equal digests on every machine."""
        rows = [
            [entry.path, "symlink", entry.target]
            if isinstance(entry, Symlink)
            else [entry.path, "file", entry.size, _sha256(entry.contents).hex()]
            for entry in self.entries
        ]
        document = {"name": self.name, "storage": self.storage.value, "entries": rows}
        return Hash.sha256_of(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())

    def nar_tree(self, chunks_of: ChunksOf) -> nar.NarDirectory:
        """The tree as a NAR; ``chunks_of`` opens a blob's bytes (called for self-contained packages only)."""
        root: _Directory = {}
        for entry in self.entries:
            *parents, name = entry.path.encode().split(b"/")
            directory = root
            for parent in parents:
                inner = directory.setdefault(parent, {})
                if not isinstance(inner, dict):
                    raise ValueError(f"{entry.path}: a file lies where a directory is needed")
                directory = inner
            if name in directory:
                raise ValueError(f"{entry.path}: two entries have this path")
            directory[name] = _leaf(entry, chunks_of)
        return _directory(root)


ChunksOf = Callable[[Blob], Iterable[bytes]]
_Directory = dict[bytes, "nar.NarNode | _Directory"]


def _leaf(entry: Entry, chunks_of: ChunksOf) -> nar.NarNode:
    match entry:
        case Symlink():
            return nar.NarSymlink(entry.target.encode())
        case RegularFile(contents=bytes() as contents):
            return nar.NarFile(contents)
        case RegularFile(contents=Blob() as blob):
            return nar.NarOpaqueFile(blob.size, lambda: chunks_of(blob))
    raise AssertionError(entry)


def _directory(children: _Directory) -> nar.NarDirectory:
    return nar.directory(
        {name: _directory(child) if isinstance(child, dict) else child for name, child in children.items()}
    )


def _no_bytes(blob: Blob) -> Iterable[bytes]:
    raise AssertionError(f"{blob.name}: a size needs no bytes")


def _sha256(contents: bytes | Blob) -> Hash:
    return contents.sha256 if isinstance(contents, Blob) else Hash.sha256_of(contents)
