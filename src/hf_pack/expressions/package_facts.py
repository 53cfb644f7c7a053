"""What is known of a package that a provenance statement or a bill of materials can say: from a lock, or from the store
object alone, which says less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hf_pack.expressions.package_meta import HUB
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import FileDigest, ModelSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedFile:
    """A file whose bytes are not the source's, and why."""

    file: str
    reason: str
    before: FileDigest
    after: FileDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a package came about, which its lock knows. ``git_rev`` is the workspace's commit, None without git."""

    tool_version: str
    lock_digest: Hash
    layout: str
    storage: str
    layout_version: int
    asked_revision: str | None
    git_rev: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """A package. ``nar_hash`` is the tree's; ``is_commit``: the snapshot is a commit of the model's on the Hub."""

    pname: str
    version: str
    store_path: StorePath
    nar_hash: Hash
    repo_id: str
    snapshot_id: str
    is_commit: bool
    licence: str | None
    files: Mapping[str, FileDigest]
    patches: tuple[PatchedFile, ...]
    model: ModelSummary
    engine_parameters: JsonObject
    making: Making | None = None

    @property
    def source_url(self) -> str | None:
        """The model's page on the Hub; None for what came from elsewhere."""
        return f"{HUB}/{self.repo_id}" if self.is_commit else None
