"""The composition root: which adapters stand behind the ports. Only here and in `cli` is the environment read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import UsageError
from hf_pack.ports import Sources, Store, Workspace

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


def open_sources(workspace: Workspace) -> Sources:
    """Models on disk, with relative paths seen from the workspace."""
    from hf_pack.adapters.local.sources import LocalSources

    return LocalSources(workspace.root)


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
