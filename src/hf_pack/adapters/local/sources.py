"""Opens models on disk by the paths that manifests and command lines give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.local.source import open_source
from hf_pack.errors import SourceError
from hf_pack.ports import Source


@dataclass(frozen=True, slots=True)
class LocalSources:
    """Sources on this machine; a relative path starts at ``workspace``."""

    workspace: Path

    def open(self, path: str, *, snapshot_id: str | None) -> Source:
        """The source at ``path`` (as written: ``~`` and relative to the workspace). Raises SourceError."""
        try:
            expanded = Path(path).expanduser()
        except RuntimeError as error:
            raise SourceError(f"{path}: {error}") from None
        return open_source(self.workspace / expanded, snapshot_id=snapshot_id)
