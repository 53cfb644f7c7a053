"""The composition root: which adapters stand behind the ports. Only here and in `cli` is the environment read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import UsageError
from hf_pack.model.manifest import HubSource, PathSource
from hf_pack.ports import Source, Sources, Store, Workspace

if TYPE_CHECKING:
    from hf_pack.steps.fetch import Places

STORE_VARIABLE = "HF_PACK_STORE"


def create_workspace(directory: Path) -> Workspace:
    """Make ``directory`` a workspace. Raises UsageError when it is one."""
    return WorkspaceOnDisk.create(directory)


def open_workspace(directory: Path) -> Workspace:
    """The workspace that ``directory`` lies in. Raises UsageError."""
    return WorkspaceOnDisk.find(directory)


def optional_workspace(directory: Path) -> Workspace | None:
    """The workspace of ``directory``, None when it lies in none."""
    try:
        return open_workspace(directory)
    except UsageError:
        return None


@dataclass(frozen=True)
class AnySources:
    """Implements :class:`hf_pack.ports.Sources`: a disk's directories, seen from the workspace."""

    workspace: Path

    def open(self, source: PathSource | HubSource) -> Source:
        """See :class:`hf_pack.ports.Sources`."""
        from hf_pack.adapters.local.sources import LocalSources

        if isinstance(source, HubSource):
            raise UsageError(
                f"this version packages models that are on disk, found repo_id {str(source.repo_id)!r}",
                hint=f"hf download {source.repo_id}, then hf-pack add with the path of its cache directory",
            )
        return LocalSources(self.workspace).open(source)


def open_sources(workspace: Workspace) -> Sources:
    """The places where a manifest's model may lie."""
    return AnySources(workspace.root)


def open_places(workspace: Workspace) -> Places:
    """Where a build may find bytes, best first."""
    from hf_pack.steps.fetch import Places

    return Places(disk=open_sources(workspace))


def open_store(url: str | None = None, environ: Mapping[str, str] | None = None) -> Store:
    """The store that ``url`` names, else ``HF_PACK_STORE``, else the one of this user.

    ``auto``, a path, or ``local?root=PATH``. Raises UsageError for another kind of URL, StoreError.
    """
    from hf_pack.adapters.embedded.store import EmbeddedStore

    variables = os.environ if environ is None else environ
    wanted = url or variables.get(STORE_VARIABLE) or "auto"
    return EmbeddedStore(_root(wanted, variables))


def _root(url: str, environ: Mapping[str, str]) -> Path:
    if url == "auto":
        data = environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(data).expanduser() / "hf-pack"
    path = url.removeprefix("local?root=")
    if not path or (path == url and ("://" in url or "?" in url or url in ("daemon", "local"))):
        raise UsageError(
            f"no such kind of store: {url!r}\n  --store: expected auto, a path, or local?root=PATH, found {url!r}",
            hint="hf-pack build NAME --store ~/models/store",
        )
    return Path(path).expanduser().absolute()
