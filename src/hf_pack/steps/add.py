"""Add: a manifest, build metadata and a lock for a model, in one go."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.errors import UsageError
from hf_pack.model import manifest_text
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.manifest import Manifest, Selection
from hf_pack.ports import Progress, Sources, Store, Workspace
from hf_pack.steps import lock as locking
from hf_pack.steps import propose
from hf_pack.steps.inspect_source import inspect
from hf_pack.steps.packages import read_manifest
from hf_pack.steps.propose import Wishes
from hf_pack.steps.workspace_files import build_meta_file, manifest_file


@dataclass(frozen=True, kw_only=True)
class Added:
    """What `add` wrote."""

    manifest: Manifest
    locked: locking.Locked


def add(
    path: str,
    wishes: Wishes,
    selection: Selection,
    workspace: Workspace,
    sources: Sources,
    store: Store,
    progress: Progress,
) -> Added:
    """Look at the model, propose a manifest, lock it, and only then write: manifest, build metadata, lock.

    Raises SourceError, PolicyError, ManifestError; then nothing was written to the workspace.
    """
    source = sources.open(path, snapshot_id=wishes.revision)
    inspection = inspect(source, selection)
    opened = locking.Opened(source=source, inspection=inspection)
    manifest = propose.propose(propose.source_of(path, source.listing, wishes), selection, inspection.model, wishes)
    if workspace.read(manifest_file(manifest.name)) is not None:
        raise UsageError(
            f"a package of this name is there already\n  {manifest_file(manifest.name)}: exists",
            hint=f"hf-pack add {path} --name ANOTHER, or hf-pack lock {manifest.name} to lock it again",
        )
    with store.session():
        locked = locking.make_lock(manifest, opened, workspace, store, progress)
        lock = locked.lock
        comments = propose.comments(lock.model, lock.source.snapshot_kind, lock.licence)
        text = manifest_text.write(manifest, comments=comments)
        workspace.write(manifest_file(manifest.name), text.encode())
        workspace.write(build_meta_file(manifest.name), build_meta(workspace).format())
        locking.write_lock(manifest.name, locked, workspace, store)
    return Added(manifest=read_manifest(workspace, manifest.name), locked=locked)


def build_meta(workspace: Workspace) -> BuildMeta:
    """Metadata of a first build, at the workspace's present commit."""
    head = workspace.git_head()
    return BuildMeta() if head is None else BuildMeta(git_rev=head, git_rev_short=head[:7])
