"""What moved upstream since a package was locked, before anything large is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hf_pack.errors import SourceError
from hf_pack.model.differences import Difference
from hf_pack.model.lock import FileDigest, Lock
from hf_pack.model.manifest import HubSource, Manifest, PathSource
from hf_pack.ports import Source, Sources, Store
from hf_pack.steps.comparing.diff import diff
from hf_pack.steps.inspecting.choose_files import choose
from hf_pack.steps.stored.contents import Contents, LockedContents
from hf_pack.steps.workspace.packages import digest_of


@dataclass(frozen=True, kw_only=True)
class UpstreamContents:
    """The files that the manifest would choose now, as the Hub has them. Implements :class:`Contents`."""

    source: Source
    files: Mapping[str, FileDigest]

    def read(self, path: str, offset: int = 0, size: int | None = None) -> bytes | None:
        """See :class:`Contents`. Weights stay on the Hub: None."""
        file = next(file for file in self.source.listing.files if file.path == path)
        if file.sha256 is not None:
            return None
        return self.source.read(path)[offset : None if size is None else offset + size]


def upstream_contents(manifest: Manifest, locked: Lock, sources: Sources) -> UpstreamContents:
    """Resolve the manifest's revision now. Only small files that changed are read. Raises HubError, SourceError."""
    return _contents(sources.open(manifest.source), manifest, locked)


def _contents(source: Source, manifest: Manifest, locked: Lock) -> UpstreamContents:
    listing = source.listing
    offered = {file.path: file for file in listing.files}
    sizes = ((file.path, file.size) for file in listing.files)
    chosen = choose(listing.place, sizes, manifest.selection, source.read).files
    before = {file.path: file for file in locked.files}

    def digest(path: str) -> FileDigest:
        file, old = offered[path], before.get(path)
        if old is not None and file.git_blob_id is not None and old.git_blob_id == file.git_blob_id:
            # Not moved: a patch of ours is no change of theirs.
            return FileDigest(size=old.size, sha256=old.sha256)
        if file.sha256 is not None:
            return FileDigest(size=file.size, sha256=file.sha256)
        return digest_of(source.read(path))

    return UpstreamContents(source=source, files={path: digest(path) for path in chosen})


def moved(
    manifest: Manifest, locked: Lock, kept: Mapping[str, bytes], sources: Sources, store: Store
) -> tuple[str, ...]:
    """Sentences about what a new lock would bring; empty when nothing moved."""
    if not isinstance(manifest.source, HubSource):
        return tuple(_moved_on_disk(manifest.source, locked, sources))
    source = sources.open(manifest.source)
    now = source.listing.snapshot_id
    if now == locked.source.snapshot_id:
        return ()
    before: Contents = LockedContents(lock=locked, kept=kept, store=store)
    head = f"upstream: {manifest.source.revision} moved from {locked.source.snapshot_id} to {now}"
    return (head, *_sentences(diff(before, _contents(source, manifest, locked))))


def _moved_on_disk(asked: PathSource, locked: Lock, sources: Sources) -> Iterator[str]:
    """Small files are compared by content, weights by size: hashing them again is what `lock` does.

    A source that is gone moved nothing: the lock and the store are enough.
    """
    try:
        source = sources.open(replace(asked, snapshot_id=locked.source.wanted_snapshot))
    except SourceError:
        return
    offered = {file.path: file for file in source.listing.files}
    for file in locked.files:
        before = file.original or file.digest
        now = offered.get(file.path)
        if now is None:
            yield f"source: {file.path} is gone from {asked.path}"
        elif now.size != before.size:
            yield f"source: {file.path} changed, {before.size} bytes -> {now.size} bytes"
        elif not file.is_blob and digest_of(source.read(file.path)) != before:
            yield f"source: {file.path} changed"


def _sentences(difference: Difference) -> Iterator[str]:
    if difference.is_empty:
        yield "upstream: the packaged files are the same"
    for file in difference.files:
        sizes = " -> ".join(f"{digest.size} bytes" for digest in (file.before, file.after) if digest is not None)
        yield f"upstream: {_kind(file.path)}{file.path} {file.change.value}, {sizes}"
        for key in difference.keys:
            if key.path == file.path:
                what = "chat template" if key.key == "chat_template" else key.key
                yield f"upstream: {file.path}: {what} {key.change.value}"


def _kind(path: str) -> str:
    if path.endswith(".py"):
        return "remote code "
    return "chat template " if path.endswith((".jinja", "chat_template.json")) else ""
