"""The files of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
