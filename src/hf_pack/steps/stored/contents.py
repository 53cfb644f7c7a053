"""The files of a package, wherever it is: behind a lock, or in a store object alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.layouts.provenance import PROVENANCE_FILE
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import FileDigest, Lock
from hf_pack.ports import Store


class Contents(Protocol):
    """Files by path, and their bytes as far as they are here."""

    @property
    def files(self) -> Mapping[str, FileDigest]:
        """Size and hash of every packaged file."""

    def read(self, path: str, offset: int = 0, size: int | None = None) -> bytes | None:
        """Bytes of a file from ``offset``; None when the weights are not in the store."""


@dataclass(frozen=True, kw_only=True)
class LockedContents:
    """A lock with the files beside it; weights come from the store when they are there."""

    lock: Lock
    kept: Mapping[str, bytes]
    store: Store

    @property
    def files(self) -> Mapping[str, FileDigest]:
        """See :class:`Contents`."""
        return {file.path: file.digest for file in self.lock.files}

    def read(self, path: str, offset: int = 0, size: int | None = None) -> bytes | None:
        """See :class:`Contents`."""
        if path in self.kept:
            return self.kept[path][offset : None if size is None else offset + size]
        store_path = self._weights.get(path)
        return None if store_path is None else self.store.read(store_path, offset=offset, size=size)

    @cached_property
    def _weights(self) -> Mapping[str, StorePath]:
        """Where the bytes lie of every file that is in the store: large ones are read in many small pieces."""
        paths = {file.path: file.blob.store_path for file in self.lock.files if file.path not in self.kept}
        valid = self.store.valid_paths(paths.values())
        return {path: store_path for path, store_path in paths.items() if store_path in valid}


@dataclass(frozen=True, kw_only=True)
class StoredContents:
    """A package in a store, known by its own ``hf-pack.json``."""

    store_path: StorePath
    provenance: JsonObject
    files: Mapping[str, FileDigest]
    directory: str  #: where its files lie inside the object
    store: Store

    def read(self, path: str, offset: int = 0, size: int | None = None) -> bytes | None:
        """See :class:`Contents`."""
        return self.store.read(self.store_path, f"{self.directory}/{path}", offset=offset, size=size)


def stored_contents(store_path: StorePath, store: Store) -> StoredContents:
    """Read a package's ``hf-pack.json``. Raises StoreError when the object is no package of ours."""
    inside = store.package_files(store_path)
    if inside is None:
        raise StoreError(
            f"{store_path} is not a package\n  share/*/{PROVENANCE_FILE}: not there",
            hint="hf-pack list",
        )
    try:
        provenance = json.loads(store.read(store_path, inside.provenance))
        files = {
            file["path"]: FileDigest(size=file["size"], sha256=Hash.from_hex(file["sha256"]))
            for file in provenance["files"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{store_path} has a damaged {inside.provenance}: {error}", hint=f"hf-pack verify {store_path}"
        ) from None
    return StoredContents(
        store_path=store_path, provenance=provenance, files=files, directory=inside.files, store=store
    )
