"""Opens models on disk by the paths that manifests and command lines give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.local.source import open_source
from hf_pack.errors import SourceError
from hf_pack.model.manifest import CONTENT_SNAPSHOT, PathSource
from hf_pack.ports import Source


@dataclass(frozen=True, slots=True)
class LocalSources:
    """Sources on this machine; a relative path starts at ``workspace``."""

    workspace: Path

    def open(self, source: PathSource) -> Source:
        """The source at its path. Raises SourceError."""
        try:
            expanded = Path(source.path).expanduser()
        except RuntimeError as error:
            raise SourceError(f"{source.path}: {error}") from None
        wanted = None if source.snapshot_id == CONTENT_SNAPSHOT else source.snapshot_id
        return open_source(self.workspace / expanded, snapshot_id=wanted)
