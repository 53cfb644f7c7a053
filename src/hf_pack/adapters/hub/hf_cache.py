"""The user's own Hub cache as a place that may have a blob already: only looked at, never written."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hf_pack.ports import WantedBlob


@dataclass(frozen=True, slots=True)
class HubCacheFinder:
    """``cache`` is ``HF_HUB_CACHE``, which holds ``models--…`` directories; a :class:`hf_pack.ports.BlobFinder`."""

    cache: Path

    @property
    def name(self) -> str:
        """For messages."""
        return f"the Hub cache {self.cache}"

    def session(self) -> AbstractContextManager[None]:
        """Nothing to do: nobody collects garbage there."""
        return nullcontext()

    def find(self, wanted: WantedBlob) -> Path | None:
        """A file that claims to be the blob and has its size: by its etag, or where the snapshot has it.

        Names are claims there; whoever reads the file proves it.
        """
        repo = self.cache / wanted.repo_id.folder
        claims = (
            repo / "blobs" / wanted.blob.sha256.hex(),
            repo / "snapshots" / wanted.commit_hash / wanted.path,
        )
        return next((real for claim in claims if (real := _real_file(claim, wanted.blob.size)) is not None), None)


def _real_file(claim: Path, size: int) -> Path | None:
    try:
        real = Path(os.path.realpath(claim, strict=True))
        status = real.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_size != size or not os.access(real, os.R_OK):
        return None
    return real
