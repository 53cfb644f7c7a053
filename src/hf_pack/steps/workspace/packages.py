"""From a name to everything that a workspace holds about a package, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hf_pack.errors import LockError, ManifestError, UsageError
from hf_pack.formats.hashes import Hash
from hf_pack.layouts.lay_out import LAYOUT_VERSIONS, lay_out
from hf_pack.model import build_meta, lock_document, manifest_document, stale
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.lock import FileDigest, Lock
from hf_pack.model.manifest import Manifest
from hf_pack.model.plan import Plan
from hf_pack.model.record import PackageRecord
from hf_pack.ports import Workspace
from hf_pack.steps.workspace.workspace_files import build_meta_file, kept_file, lock_file, manifest_file, read_record


@dataclass(frozen=True)
class Package:
    """A locked package of a workspace. The plan is computed once, when asked for."""

    name: str
    manifest: Manifest
    build_meta: BuildMeta
    lock: Lock
    lock_digest: Hash
    kept: Mapping[str, bytes]  #: bytes of the files that lie beside the lock, by path
    record: PackageRecord | None  #: of the last build
    warnings: tuple[str, ...] = ()  #: what a newer hf-pack wrote into the lock, and this one passed over

    @cached_property
    def plan(self) -> Plan:
        """The package's tree. Raises LockError when a kept file is missing or changed."""
        try:
            return lay_out(self.manifest, self.lock, self.build_meta, self.kept)
        except ValueError as error:
            raise LockError(
                f"{self.name}: the lock and its files do not fit together\n  models/{self.name}.files/{error}",
                hint=f"restore the file from git, or lock again: hf-pack lock {self.name}",
            ) from None

    @property
    def version(self) -> str:
        """The full version."""
        return self.build_meta.version(self.manifest.base_version)


def read_manifest(workspace: Workspace, name: str) -> Manifest:
    """Read and check ``models/<name>.toml``. Raises ManifestError with every problem of the file."""
    contents = workspace.read(manifest_file(name))
    if contents is None:
        raise UsageError(f"{manifest_file(name)}: not there", hint="hf-pack list")
    try:
        return manifest_document.parse(contents.decode(), name)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{manifest_file(name)}: not UTF-8 at byte {error.start}") from None
    except manifest_document.ManifestProblems as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        count = len(error.problems)
        raise ManifestError(
            f"{manifest_file(name)}: {count} problem{'s' if count > 1 else ''}\n{lines}",
            hint=f"edit {manifest_file(name)}; nothing was written",
        ) from None


def read_build_meta(workspace: Workspace, name: str) -> BuildMeta:
    """Read ``build-meta/<name>.json``. Raises ManifestError."""
    contents = workspace.read(build_meta_file(name))
    if contents is None:
        raise ManifestError(f"{build_meta_file(name)}: not there", hint=f"hf-pack bump {name} -m 'Initial package.'")
    try:
        return build_meta.parse(contents)
    except build_meta.BuildMetaError as error:
        raise ManifestError(f"{build_meta_file(name)}: {error}", hint=f"edit {build_meta_file(name)}") from None


def read_lock(workspace: Workspace, name: str) -> tuple[Lock, Hash]:
    """Read ``models/<name>.lock`` and its digest. Raises LockError."""
    locked = _read_lock(workspace, name).lock
    return locked, Hash.sha256_of(lock_document.format(locked))


def _read_lock(workspace: Workspace, name: str) -> lock_document.LockReading:
    contents = workspace.read(lock_file(name))
    if contents is None:
        raise LockError(f"{name} is not locked\n  {lock_file(name)}: not there", hint=f"hf-pack lock {name}")
    try:
        return lock_document.read(contents)
    except ValueError as error:
        raise LockError(f"{lock_file(name)}: {error}", hint=f"hf-pack lock {name}") from None


def replacement_contents(workspace: Workspace, manifest: Manifest) -> dict[str, bytes]:
    """Bytes of the files that patches' ``replace`` names (relative to ``models/``), as far as they are there."""
    named = {patch.replace for patch in manifest.patches if patch.replace is not None}
    found = {path: workspace.read(f"models/{path}") for path in sorted(named)}
    return {path: contents for path, contents in found.items() if contents is not None}


def load(workspace: Workspace, name: str) -> Package:
    """A package that can be planned: manifest, fresh lock, build metadata. Raises ManifestError, LockError."""
    manifest = read_manifest(workspace, name)
    meta = read_build_meta(workspace, name)
    reading = _read_lock(workspace, name)
    locked = reading.lock
    kept = kept_contents(workspace, name)
    reasons = stale_reasons(workspace, manifest, locked, kept)
    if reasons:
        lines = "\n".join(f"  {reason.sentence}" for reason in reasons)
        raise LockError(f"{name}: the lock is stale\n{lines}", hint=f"hf-pack lock {name}")
    return Package(
        name=name,
        manifest=manifest,
        build_meta=meta,
        lock=locked,
        lock_digest=Hash.sha256_of(lock_document.format(locked)),
        kept=kept,
        record=read_record(workspace, name),
        warnings=reading.warnings,
    )


def kept_contents(workspace: Workspace, name: str) -> dict[str, bytes]:
    """The files that lie beside the lock, by path."""
    paths = workspace.kept_files(name)
    read = ((path, workspace.read(kept_file(name, path))) for path in paths)
    return {path: contents for path, contents in read if contents is not None}


def stale_reasons(
    workspace: Workspace, manifest: Manifest, locked: Lock, kept: Mapping[str, bytes]
) -> tuple[stale.StaleReason, ...]:
    """Why the lock does not fit the workspace any more; empty when it does. Raises LockError for its layout."""
    if locked.layout_version not in LAYOUT_VERSIONS:
        raise LockError(
            f"{manifest.name}: the lock is of a layout that this hf-pack does not make\n"
            f"  {lock_file(manifest.name)}: layout_version: expected {' or '.join(map(str, LAYOUT_VERSIONS))}, "
            f"found {locked.layout_version}",
            hint=f"hf-pack lock {manifest.name} --upgrade",
        )
    replacements = replacement_contents(workspace, manifest)
    return stale.stale_reasons(manifest, locked, _digests(kept), _digests(replacements))


def _digests(files: Mapping[str, bytes]) -> dict[str, FileDigest]:
    return {path: digest_of(contents) for path, contents in files.items()}


def digest_of(contents: bytes) -> FileDigest:
    """Size and sha256 of bytes in memory."""
    return FileDigest(size=len(contents), sha256=Hash.sha256_of(contents))
