"""Lock: from a manifest and a model on disk to the exact files of a package.

::

    source ─select─▶ files ─inspect headers─▶ ─add blobs to the store, hash small files─▶ patch ─▶ Lock
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hf_pack.errors import IntegrityError, ManifestError, SourceError
from hf_pack.formats.store_path import sanitize_name
from hf_pack.layouts.lay_out import LAYOUT_VERSION
from hf_pack.model import lock_document, patches
from hf_pack.model.hub_ids import SnapshotKind, is_commit
from hf_pack.model.lock import (
    AppliedPatch,
    Blob,
    FileDigest,
    Lock,
    LockedFile,
    LockedSource,
    is_blob,
)
from hf_pack.model.manifest import CONTENT_SNAPSHOT, HubSource, Manifest, Patch, Storage
from hf_pack.model.snapshots import content_id
from hf_pack.ports import AddedBlob, FileToAdd, Progress, Source, SourceFile, SourceListing, Sources, Store, Workspace
from hf_pack.steps.building.fetch import Receive
from hf_pack.steps.inspecting.gates import NO_GUARD, Guard
from hf_pack.steps.inspecting.inspect_source import Inspection, inspect
from hf_pack.steps.inspecting.remote_code import CodeChange
from hf_pack.steps.locking.lock_checks import NOTHING_KNOWN, Knowledge, check_before_lock
from hf_pack.steps.locking.patched import patched
from hf_pack.steps.workspace.packages import digest_of, replacement_contents
from hf_pack.steps.workspace.workspace_files import lock_file, manifest_file


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A new lock, the bytes that lie beside it, and what locking cost in bytes."""

    lock: Lock
    kept: tuple[tuple[str, bytes], ...]
    notes: tuple[str, ...]
    bytes_read: int
    bytes_written: int
    previous_snapshot_id: str | None = None  #: of the lock that this one takes the place of
    code_changes: tuple[CodeChange, ...] = ()  #: Python that is not what that lock has


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source with its choice of files made and its headers read."""

    source: Source
    inspection: Inspection


def open_source(
    manifest: Manifest,
    sources: Sources,
    *,
    headers: bool = True,
    guard: Guard = NO_GUARD,
    replacements: Mapping[str, bytes] | None = None,
) -> Opened:
    """Open and inspect the manifest's source. Raises SourceError, HubError, PolicyError with every trap it meets.

    ``replacements`` are the files that patches' ``replace`` names: the gates look at what will be packaged.
    """
    source = sources.open(manifest.source)
    finished = partial(patched, manifest.patches, replacements or {})
    gates = guard.gates(manifest.selection, manifest.allow, finished)
    return Opened(source=source, inspection=inspect(source, manifest.selection, headers=headers, gates=gates))


def make_lock(
    manifest: Manifest,
    opened: Opened,
    workspace: Workspace,
    store: Store,
    progress: Progress,
    *,
    layout_version: int = LAYOUT_VERSION,
    knowledge: Knowledge = NOTHING_KNOWN,
) -> Locked:
    """Read every selected file of a disk once; weights enter the store while they are hashed, unless the store keeps
    none for a self-contained package: then they are only hashed.

    Of a model on the Hub only small files are read: a large one is known by the sha256 that the Hub publishes. The
    store keeps what was added only for the session of the caller: root it with :func:`write_lock`.
    """
    source, inspection = opened.source, opened.inspection
    patched = {patch.file for patch in manifest.patches}
    _check_patch_targets(manifest, inspection.files)
    replacements = replacement_contents(workspace, manifest)
    known = check_before_lock(manifest, source, inspection, replacements, knowledge)
    large = [file for file in inspection.files if is_blob(file.path, file.size) and file.path not in patched]
    on_disk = [(file, file.real_path) for file in large if file.real_path is not None]
    streamer = store.streamer if manifest.storage is Storage.SELF_CONTAINED else None
    added: tuple[AddedBlob, ...] = ()
    if streamer is not None:
        hashed = streamer.hash_files([place for _, place in on_disk], progress)
        read = sum(one.bytes_read for one in hashed)
        digests = {file.path: one.digest for (file, _), one in zip(on_disk, hashed, strict=True)}
    else:
        to_add = [FileToAdd(name=_blob_name(file), real_path=place) for file, place in on_disk]
        added = store.add_blobs(to_add, progress)
        read = sum(blob.bytes_read for blob in added)
        digests = {
            file.path: FileDigest(size=blob.blob.size, sha256=blob.blob.sha256)
            for (file, _), blob in zip(on_disk, added, strict=True)
        }
    digests |= {
        file.path: FileDigest(size=file.size, sha256=file.sha256)
        for file in large
        if file.real_path is None and file.sha256 is not None
    }
    unread = [file for file in inspection.files if file.path not in digests]
    source.prepare([(file.path, None) for file in unread])
    contents = {file.path: source.read(file.path) for file in unread}
    digests |= {path: digest_of(data) for path, data in contents.items()}
    for file in set(large) & set(unread):  # large for a package, small for the Hub: it has no sha256 of it
        digest = digests[file.path]
        blob = Blob(name=_blob_name(file), sha256=digest.sha256, size=digest.size)
        receive = store.receive if streamer is None else streamer.hold
        received = _receive(blob, contents.pop(file.path), receive)
        added += received
        read += sum(one.bytes_read for one in received)
    read += sum(map(len, contents.values()))
    _check_claims(inspection, digests)

    applied = []
    for index, patch in enumerate(manifest.patches):
        before = contents[patch.file]
        contents[patch.file] = _apply(manifest, index, patch, before, replacements)
        applied.append(_applied(patch, before, contents[patch.file], replacements))

    files = tuple(_locked_file(file, digests[file.path], contents) for file in inspection.files)
    lock = Lock(
        layout_version=layout_version,
        source=_locked_source(manifest, source.listing, digests),
        selection=manifest.selection,
        files=files,
        omitted=inspection.omitted,
        patches=tuple(applied),
        licence=inspection.licence,
        model=inspection.model,
        provenance=inspection.provenance,
        findings=inspection.findings,
    )
    return Locked(
        lock=lock,
        kept=tuple((file.path, contents[file.path]) for file in files if file.kept_beside_lock),
        notes=(*source.listing.notes, *inspection.notes, *known),
        bytes_read=read,
        bytes_written=sum(blob.bytes_written for blob in added),
    )


def write_lock(name: str, locked: Locked, workspace: Workspace, store: Store) -> None:
    """Put the lock and its files into the workspace, and root its blobs in the store for as long as it is there."""
    workspace.replace_kept_files(name, locked.kept)
    workspace.write(lock_file(name), lock_document.format(locked.lock))
    paths = [blob.store_path for blob in locked.lock.blobs]
    store.add_root(workspace.root / lock_file(name), store.valid_paths(paths))


def _blob_name(file: SourceFile) -> str:
    return sanitize_name(file.path.rsplit("/", 1)[-1])


def _receive(blob: Blob, contents: bytes, receive: Receive) -> tuple[AddedBlob, ...]:
    with receive(blob) as reception:
        if reception is None:
            return ()
        for part in reception.missing:
            reception.write(part.offset, contents[part.offset : part.offset + part.size])
        return (reception.finish(),)


def _check_patch_targets(manifest: Manifest, files: Sequence[SourceFile]) -> None:
    packaged = {file.path for file in files}
    for index, patch in enumerate(manifest.patches):
        if patch.file not in packaged:
            raise ManifestError(
                f"a patch names a file that is not packaged\n  {manifest_file(manifest.name)}: "
                f"patch[{index}].file: expected a packaged file, found {patch.file!r}",
                hint=f"add it to source.include, or name one of {', '.join(sorted(packaged)[:8])}",
            )


def _apply(manifest: Manifest, index: int, patch: Patch, contents: bytes, replacements: Mapping[str, bytes]) -> bytes:
    place = f"{manifest_file(manifest.name)}: patch[{index}]"
    replacement = None if patch.replace is None else replacements.get(patch.replace)
    if patch.replace is not None and replacement is None:
        raise ManifestError(
            f"a patch's replacement is not there\n  {place}.replace: expected a file beside the manifest, "
            f"found no models/{patch.replace}",
            hint=f"put the new {patch.file} at models/{patch.replace}",
        )
    try:
        return patches.apply(patch, contents, replacement)
    except patches.PatchMismatch as error:
        raise ManifestError(
            f"a patch does not match the source\n  {place}: {error}",
            hint="change or remove the patch; nothing was written",
        ) from None


def _applied(patch: Patch, before: bytes, after: bytes, replacements: Mapping[str, bytes]) -> AppliedPatch:
    return AppliedPatch(
        file=patch.file,
        reason=patch.reason,
        definition=patches.definition(patch),
        replacement=None if patch.replace is None else digest_of(replacements[patch.replace]),
        before=digest_of(before),
        after=digest_of(after),
    )


def _locked_file(file: SourceFile, original: FileDigest, contents: Mapping[str, bytes]) -> LockedFile:
    final = digest_of(contents[file.path]) if file.path in contents else original
    return LockedFile(
        path=file.path,
        size=final.size,
        sha256=final.sha256,
        original=None if final == original else original,
        git_blob_id=file.git_blob_id if file.real_path is None else None,
    )


def _check_claims(inspection: Inspection, digests: Mapping[str, FileDigest]) -> None:
    """Hold the checksums that the source's own side files state against what was read."""
    wrong = [
        f"{path}: expected sha256 {claim.sha256.hex()} (stated by {claim.stated_by}), "
        f"found {digests[path].sha256.hex()}"
        for path, claim in sorted(inspection.claimed.items())
        if path in digests and digests[path].sha256 != claim.sha256
    ]
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        raise IntegrityError(
            f"the source does not match its own checksums\n{lines}",
            hint="fetch or quantize the model again; nothing was written",
        )


def _locked_source(manifest: Manifest, listing: SourceListing, digests: Mapping[str, FileDigest]) -> LockedSource:
    asked = manifest.source
    if isinstance(asked, HubSource):
        assert listing.snapshot_id is not None
        return LockedSource(
            repo_id=asked.repo_id,
            snapshot_id=listing.snapshot_id,
            snapshot_kind=SnapshotKind.COMMIT,
            asked_repo_id=asked.repo_id,
            asked_revision=asked.revision,
            gated=listing.gated,
        )
    repo_id = asked.slug or listing.repo_id
    if repo_id is None:
        raise SourceError(
            f"the source does not say which repository it is\n  {manifest_file(manifest.name)}: source.slug: "
            "expected org--name, found nothing",
            hint='add slug = "org--name" and snapshot_id = "content" to [source]',
        )
    if asked.snapshot_id == CONTENT_SNAPSHOT or (asked.snapshot_id is None and listing.snapshot_id is None):
        snapshot_id, kind = content_id(digests.items()), SnapshotKind.CONTENT
    elif asked.snapshot_id is None or asked.snapshot_id == listing.snapshot_id:
        assert listing.snapshot_id is not None and listing.snapshot_kind is not None
        snapshot_id, kind = listing.snapshot_id, listing.snapshot_kind
    else:
        snapshot_id = asked.snapshot_id
        quantized = listing.snapshot_kind is SnapshotKind.FINGERPRINT or not is_commit(snapshot_id)
        kind = SnapshotKind.FINGERPRINT if quantized else SnapshotKind.COMMIT
    return LockedSource(
        repo_id=repo_id,
        snapshot_id=snapshot_id,
        snapshot_kind=kind,
        asked_repo_id=asked.slug,
        asked_revision=asked.snapshot_id,
    )
