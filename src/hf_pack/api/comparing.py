"""Two packages side by side, wherever each of them is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import LockError, UsageError
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.model.differences import Difference
    from hf_pack.ports import Progress, Store, Workspace
    from hf_pack.steps.stored.contents import Contents, LockedContents

UPSTREAM = "upstream"  #: ``NAME@upstream``: what the manifest's revision is on the Hub now


def diff(
    before: str,
    after: str,
    *,
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Difference:
    """Files, JSON keys and tensors that differ.

    Each side is a name, a store path, ``pname@version``, ``name@GIT_REVISION``, ``name@upstream`` or the path of a lock
    file.
    """
    from hf_pack.steps.comparing import diff as comparing

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    return comparing.diff(_contents(before, place, chosen, progress), _contents(after, place, chosen, progress))


def _contents(text: str, workspace: Workspace | None, store: Store, progress: Progress) -> Contents:
    from hf_pack.model.manifest import Storage
    from hf_pack.steps.comparing.upstream import upstream_contents
    from hf_pack.steps.stored.contents import LockedContents, stored_contents
    from hf_pack.steps.workspace import packages, targets, workspace_files

    if text.endswith(".lock"):
        return _lock_at_path(Path(text), store)
    stem, _, revision = text.partition("@")
    if workspace is not None and revision == UPSTREAM and "/" not in stem:
        name = workspace_files.find_name(workspace, stem)
        manifest, (locked, _) = packages.read_manifest(workspace, name), packages.read_lock(workspace, name)
        return upstream_contents(manifest, locked, wiring.open_sources(workspace, progress))
    if workspace is not None and revision and "+" not in revision and "/" not in stem:
        return _lock_at_revision(workspace_files.find_name(workspace, stem), revision, workspace, store)
    target = targets.resolve(text, workspace, store)
    if target.package is None:
        return stored_contents(target.store_path, store)
    if target.package.manifest.storage is Storage.SELF_CONTAINED and store.path_info(target.store_path) is not None:
        return stored_contents(target.store_path, store)  # its weights may be nowhere else
    return LockedContents(lock=target.package.lock, kept=target.package.kept, store=store)


def _lock_at_path(path: Path, store: Store) -> LockedContents:
    from hf_pack.model import lock_document
    from hf_pack.steps.stored.contents import LockedContents

    try:
        locked = lock_document.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a lock file that is there") from None
    except ValueError as error:
        raise LockError(f"{path}: {error}") from None
    beside = path.with_suffix(".files")
    kept = {
        file.path: (beside / file.path).read_bytes()
        for file in locked.files
        if file.kept_beside_lock and (beside / file.path).is_file() and os.access(beside / file.path, os.R_OK)
    }
    return LockedContents(lock=locked, kept=kept, store=store)


def _lock_at_revision(name: str, revision: str, workspace: Workspace, store: Store) -> LockedContents:
    from hf_pack.model import lock_document
    from hf_pack.steps.stored.contents import LockedContents
    from hf_pack.steps.workspace import workspace_files

    contents = workspace.read_at(revision, workspace_files.lock_file(name))
    if contents is None:
        raise UsageError(
            f"git has no {workspace_files.lock_file(name)} at {revision}",
            hint=f"git log -- {workspace_files.lock_file(name)}",
        )
    try:
        locked = lock_document.parse(contents)
    except ValueError as error:
        raise LockError(f"{workspace_files.lock_file(name)} at {revision}: {error}") from None
    kept = {
        file.path: earlier
        for file in locked.files
        if file.kept_beside_lock
        and (earlier := workspace.read_at(revision, workspace_files.kept_file(name, file.path))) is not None
    }
    return LockedContents(lock=locked, kept=kept, store=store)
