"""A model in memory behind the :class:`hf_pack.ports.Source` port, which counts the bytes that are read."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hf_pack.errors import SourceError
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.ports import SourceFile, SourceListing


@dataclass
class MemorySource:
    """Files by path. ``real_path`` of a file is one that does not exist, unless ``places`` says otherwise."""

    files: Mapping[str, bytes]
    kind: str = "flat"
    repo_id: RepoId | None = None
    snapshot_id: str | None = None
    places: Mapping[str, Path] = field(default_factory=dict)
    bytes_read: dict[str, int] = field(default_factory=dict)

    @property
    def listing(self) -> SourceListing:
        """The files, sorted."""
        return SourceListing(
            place="/model",
            kind=self.kind,
            repo_id=self.repo_id,
            snapshot_id=self.snapshot_id,
            snapshot_kind=None if self.snapshot_id is None else SnapshotKind.COMMIT,
            files=tuple(
                SourceFile(path=path, size=len(data), real_path=self.places.get(path, Path("/model") / path))
                for path, data in sorted(self.files.items())
            ),
        )

    def prepare(self, reads: Sequence[tuple[str, int | None]]) -> None:
        """Nothing to prepare."""

    def read(self, path: str, *, size: int | None = None) -> bytes:
        """The first ``size`` bytes."""
        if path not in self.files:
            raise SourceError(f"{path}: no such file in the source")
        data = self.files[path][:size]
        self.bytes_read[path] = self.bytes_read.get(path, 0) + len(data)
        return data

    def open(self, path: str) -> BinaryIO:
        """The whole file in memory."""
        return io.BytesIO(self.read(path))
