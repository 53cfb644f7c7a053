"""Why a lock does not fit its manifest any more: one variant for each cause.

Only what decides a package's files makes a lock stale. Versions, names, layout, storage, engine parameters
and where a source lies on disk never do: plans read those from the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from hf_pack.model.document import is_same, show
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import AppliedPatch, FileDigest, Lock
from hf_pack.model.manifest import HubSource, Manifest, Patch
from hf_pack.model.patches import definition


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChanged:
    """The manifest asks for another model or revision. ``field`` is its key in the manifest."""

    field: str
    locked: str | None
    wanted: str | None

    @property
    def sentence(self) -> str:
        """One line."""
        return f"{self.field}: locked for {_word(self.locked)}, the manifest asks for {_word(self.wanted)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionChanged:
    """The manifest chooses other files. ``field`` is its key in the manifest."""

    field: str
    locked: tuple[str, ...] | bool | None
    wanted: tuple[str, ...] | bool | None

    @property
    def sentence(self) -> str:
        """One line."""
        locked, wanted = _choice(self.locked), _choice(self.wanted)
        return f"{self.field}: locked with {locked}, the manifest has {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchAdded:
    """The manifest has a patch that was not applied. ``index`` counts the manifest's patches from 0."""

    index: int
    file: str

    @property
    def sentence(self) -> str:
        """One line."""
        return f"patch[{self.index}]: new, changes {self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRemoved:
    """A patch was applied that the manifest has no more. ``index`` counts the lock's patches from 0."""

    index: int
    file: str

    @property
    def sentence(self) -> str:
        """One line."""
        return f"the lock's patches[{self.index}], of {self.file}: the manifest has it no more"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchChanged:
    """A patch of the manifest is not the one that was applied. ``index`` counts them from 0."""

    index: int
    file: str

    @property
    def sentence(self) -> str:
        """One line."""
        return f"patch[{self.index}]: not what was locked for {self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementChanged:
    """The file that a patch's ``replace`` names has other bytes, or is gone (``found`` None)."""

    index: int
    file: str
    found: FileDigest | None

    @property
    def sentence(self) -> str:
        """One line."""
        how = "is not there" if self.found is None else "has changed since it was locked"
        return f"patch[{self.index}].replace: models/{self.file} {how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFileMissing:
    """A file that the lock needs does not lie beside it."""

    path: str

    @property
    def sentence(self) -> str:
        """One line."""
        return f"{self.path}: the lock names it, but it does not lie beside the lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFileChanged:
    """A file beside the lock has other bytes than the lock says."""

    path: str
    locked: FileDigest
    found: FileDigest

    @property
    def sentence(self) -> str:
        """One line."""
        return (
            f"{self.path}: beside the lock with {self.found.size} bytes of sha256 {self.found.sha256.hex()}, "
            f"locked with {self.locked.size} bytes of sha256 {self.locked.sha256.hex()}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFileUnknown:
    """A file lies beside the lock that the lock does not know."""

    path: str

    @property
    def sentence(self) -> str:
        """One line."""
        return f"{self.path}: lies beside the lock, which does not name it"


StaleReason = (
    SourceChanged
    | SelectionChanged
    | PatchAdded
    | PatchRemoved
    | PatchChanged
    | ReplacementChanged
    | KeptFileMissing
    | KeptFileChanged
    | KeptFileUnknown
)


def stale_reasons(
    manifest: Manifest,
    lock: Lock,
    kept: Mapping[str, FileDigest],
    replacements: Mapping[str, FileDigest | None],
) -> tuple[StaleReason, ...]:
    """Every reason, in the order of the manifest; empty when the lock still fits.

    ``kept`` are the files in ``models/<name>.files/``; ``replacements`` what patches' ``replace`` names, by
    that name, None or absent when it is not there.
    """
    return (
        *_source(manifest, lock),
        *_selection(manifest, lock),
        *_patches(manifest.patches, lock.patches, replacements),
        *_kept(lock, kept),
    )


def _source(manifest: Manifest, lock: Lock) -> Iterator[SourceChanged]:
    source, locked = manifest.source, lock.source
    repo_id: RepoId | None
    revision: str | None
    if isinstance(source, HubSource):
        fields, repo_id, revision = ("repo_id", "revision"), source.repo_id, source.revision
    else:
        fields, repo_id, revision = ("slug", "snapshot_id"), source.slug, source.snapshot_id
    if repo_id != locked.asked_repo_id:
        yield SourceChanged(
            field=f"source.{fields[0]}",
            locked=None if locked.asked_repo_id is None else str(locked.asked_repo_id),
            wanted=None if repo_id is None else str(repo_id),
        )
    if revision != locked.asked_revision:
        yield SourceChanged(field=f"source.{fields[1]}", locked=locked.asked_revision, wanted=revision)


def _selection(manifest: Manifest, lock: Lock) -> Iterator[SelectionChanged]:
    wanted, locked = manifest.selection, lock.selection
    if wanted.include != locked.include:
        yield SelectionChanged(field="source.include", locked=locked.include, wanted=wanted.include)
    if wanted.exclude != locked.exclude:
        yield SelectionChanged(field="source.exclude", locked=locked.exclude, wanted=wanted.exclude)
    if wanted.allow_pickle != locked.allow_pickle:
        yield SelectionChanged(field="source.allow_pickle", locked=locked.allow_pickle, wanted=wanted.allow_pickle)


def _patches(
    wanted: Sequence[Patch], locked: Sequence[AppliedPatch], replacements: Mapping[str, FileDigest | None]
) -> Iterator[StaleReason]:
    """Patches apply in order: equal ones at both ends are set aside, the middles compared one by one."""
    start = _agreeing(wanted, locked)
    end = _agreeing(wanted[start:][::-1], locked[start:][::-1])
    middle_wanted, middle_locked = len(wanted) - start - end, len(locked) - start - end
    for offset in range(max(middle_wanted, middle_locked)):
        index = start + offset
        if offset >= middle_locked:
            yield PatchAdded(index=index, file=wanted[index].file)
        elif offset >= middle_wanted:
            yield PatchRemoved(index=index, file=locked[index].file)
        else:
            yield PatchChanged(index=index, file=wanted[index].file)
    for index, patch in enumerate(wanted):
        if patch.replace is None or start <= index < start + middle_wanted:
            continue
        applied = locked[index if index < start else index - len(wanted) + len(locked)]
        found = replacements.get(patch.replace)
        if found != applied.replacement:
            yield ReplacementChanged(index=index, file=patch.replace, found=found)


def _agreeing(wanted: Sequence[Patch], locked: Sequence[AppliedPatch]) -> int:
    pairs = zip(wanted, locked, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _agrees(*pair), pairs))


def _agrees(patch: Patch, applied: AppliedPatch) -> bool:
    return (
        patch.file == applied.file and patch.reason == applied.reason and is_same(definition(patch), applied.definition)
    )


def _kept(lock: Lock, kept: Mapping[str, FileDigest]) -> Iterator[StaleReason]:
    needed = {file.path: file.digest for file in lock.files if file.kept_beside_lock}
    for path, locked in needed.items():
        found = kept.get(path)
        if found is None:
            yield KeptFileMissing(path=path)
        elif found != locked:
            yield KeptFileChanged(path=path, locked=locked, found=found)
    for path in sorted(kept.keys() - needed.keys()):
        yield KeptFileUnknown(path=path)


def _word(value: str | None) -> str:
    return "nothing" if value is None else repr(value)


def _choice(value: tuple[str, ...] | bool | None) -> str:
    return "the default choice" if value is None else show(value)
