"""History: which versions a package had, from what git has of its files, and what each changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.layouts.lay_out import LAYOUT_VERSION, lay_out
from hf_pack.model import build_meta, lock_document, manifest_document, record
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.history import Release, Revision
from hf_pack.model.json_diff import json_changes
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Manifest
from hf_pack.model.plan import Plan
from hf_pack.ports import Workspace
from hf_pack.steps.workspace.workspace_files import build_meta_file, kept_file, lock_file, manifest_file, record_file

_Read = Callable[[str], bytes | None]


@dataclass(frozen=True, kw_only=True)
class _State:
    """A package as its files were at one time; ``content`` tells contents of one version apart."""

    manifest: Manifest
    meta: BuildMeta
    lock: Lock
    content: Hash
    store_path: StorePath | None
    nar_size: int | None

    @property
    def version(self) -> str:
        return self.meta.version(self.manifest.base_version)


def files_of(name: str) -> tuple[str, ...]:
    """The paths whose commits make a package's history."""
    return (manifest_file(name), lock_file(name), record_file(name), build_meta_file(name))


def history(name: str, workspace: Workspace, revisions: Sequence[Revision]) -> tuple[Release, ...]:
    """Every version of a package, newest first; ``revisions`` (oldest first) are those that touched its files.

    Files as they lie in the workspace now come last, when they are not what the last revision has. A revision at which
    the package's files are not all there, or are of a format that is no longer read, is passed over.
    """
    releases: list[Release] = []
    before: _State | None = None
    kept: dict[Hash, bytes] = {}
    for revision in (*revisions, None):
        state = _state(name, _reader(workspace, revision), kept)
        if state is None:
            continue
        if before is not None and (before.version, before.content) == (state.version, state.content):
            if releases[-1].store_path is None:  # it was built since
                releases[-1] = replace(releases[-1], store_path=state.store_path, nar_size=state.nar_size)
            continue
        releases.append(_release(state, before, revision))
        before = state
    return tuple(reversed(releases))


def _reader(workspace: Workspace, revision: Revision | None) -> _Read:
    if revision is None:
        return workspace.read
    commit = revision.commit
    return lambda relative: workspace.read_at(commit, relative)


def _state(name: str, read: _Read, kept: dict[Hash, bytes]) -> _State | None:
    """``kept`` are bytes beside locks that were read for other revisions: most stay as they are."""
    manifest_text, meta_text, lock_text = (
        read(relative) for relative in (manifest_file(name), build_meta_file(name), lock_file(name))
    )
    if manifest_text is None or meta_text is None or lock_text is None:
        return None
    record_text = read(record_file(name))
    try:
        manifest = manifest_document.parse(manifest_text.decode(), name)
        meta, locked = build_meta.parse(meta_text), lock_document.parse(lock_text)
        built = None if record_text is None else record.parse(record_text)
    except ValueError:
        return None
    lock_digest = lock_document.digest(lock_text)
    plan = _plan(manifest, locked, meta, read, kept)
    content = lock_digest if plan is None else plan.digest()
    if built is not None and content not in (built.plan_digest, built.lock_digest):
        built = None
    store_path = plan.store_path() if plan is not None else None
    return _State(
        manifest=manifest,
        meta=meta,
        lock=locked,
        content=content,
        store_path=store_path or (built.store_path if built is not None else None),
        nar_size=plan.nar_size if plan is not None else built.nar_size if built is not None else None,
    )


def _plan(manifest: Manifest, locked: Lock, meta: BuildMeta, read: _Read, kept: dict[Hash, bytes]) -> Plan | None:
    """None for a layout that is no longer made, or when files beside the lock are gone."""
    if locked.layout_version != LAYOUT_VERSION:
        return None
    for file in locked.files:
        if not file.is_blob and file.sha256 not in kept:
            contents = read(kept_file(manifest.name, file.path))
            if contents is None or Hash.sha256_of(contents) != file.sha256:
                return None
            kept[file.sha256] = contents
    return lay_out(manifest, locked, meta, {file.path: kept[file.sha256] for file in locked.files if not file.is_blob})


def _release(state: _State, before: _State | None, revision: Revision | None) -> Release:
    new = {file.path: file.sha256 for file in state.lock.files}
    old = {file.path: file.sha256 for file in before.lock.files} if before is not None else new
    changes = json_changes(_settings(before.manifest), _settings(state.manifest)) if before is not None else ()
    return Release(
        version=state.version,
        build_version=state.meta.build_version,
        changelog=state.meta.changelog,
        revision=revision,
        store_path=state.store_path,
        nar_size=state.nar_size,
        size=state.lock.size,
        added=tuple(sorted(set(new) - set(old))),
        removed=tuple(sorted(set(old) - set(new))),
        changed=tuple(sorted(path for path in set(new) & set(old) if new[path] != old[path])),
        settings=tuple(key for key, _, _ in changes),
    )


def _settings(manifest: Manifest) -> JsonObject:
    """What a manifest says of the package beside its files and its version."""
    return {
        "pname": manifest.pname,
        "layout": manifest.layout.value,
        "storage": manifest.storage.value,
        "triton_model_name": manifest.triton_model_name,
        "vllm": manifest.vllm,
        "sglang": manifest.sglang,
        "triton": manifest.triton,
        "runtimes": dict(manifest.runtimes),
    }
