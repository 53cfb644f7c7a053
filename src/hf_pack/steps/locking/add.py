"""Add: a manifest, build metadata and a lock for a model, in one go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hf_pack.errors import UsageError
from hf_pack.model import manifest_document, manifest_text
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.manifest import Allow, HubSource, Manifest, PathSource, Selection
from hf_pack.ports import Progress, SourceListing, Sources, Store, Workspace
from hf_pack.steps.inspecting.gates import NO_GUARD, Guard
from hf_pack.steps.inspecting.inspect_source import inspect
from hf_pack.steps.locking import lock as locking
from hf_pack.steps.locking import propose
from hf_pack.steps.locking.lock_checks import NOTHING_KNOWN, Knowledge
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.workspace.workspace_files import build_meta_file, manifest_file

if TYPE_CHECKING:
    from hf_pack.steps.locking.suit import Aim


@dataclass(frozen=True, kw_only=True)
class Added:
    """What `add` wrote."""

    manifest: Manifest
    locked: locking.Locked
    reasons: tuple[str, ...] = ()  #: why the engine parameters are what they are, where targets decided them


#: What goes with one GGUF file that was asked for.
_BESIDE_GGUF = ("*.json", "*.jinja", "README*", "LICENSE*", "NOTICE*")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the command line says about files: one of several GGUF files, what is consented to, headers or not."""

    file: str | None = None
    allow_pickle: bool = False
    allow: Allow = field(default_factory=Allow)
    headers: bool = True

    def selection(self, listing: SourceListing) -> Selection:
        """The manifest's selection for this source."""
        if self.file is None:
            return Selection(allow_pickle=self.allow_pickle)
        paths = [file.path for file in listing.files]
        beside = (pattern for pattern in _BESIDE_GGUF if any(fnmatchcase(path, pattern) for path in paths))
        return Selection(include=(self.file, *beside), allow_pickle=self.allow_pickle)


def add(
    asked: PathSource | HubSource,
    wishes: Wishes,
    choice: Choice,
    workspace: Workspace,
    sources: Sources,
    store: Store,
    progress: Progress,
    knowledge: Knowledge = NOTHING_KNOWN,
    guard: Guard = NO_GUARD,
    aim: Aim | None = None,
) -> Added:
    """Look at the model, propose a manifest, lock it, and only then write: manifest, build metadata, lock.

    Raises SourceError, HubError, PolicyError, ManifestError; then nothing was written to the workspace.
    """
    source = sources.open(asked)
    selection = choice.selection(source.listing)
    inspection = inspect(source, selection, headers=choice.headers, gates=guard.gates(selection, choice.allow))
    opened = locking.Opened(source=source, inspection=inspection)
    found = propose.source_of(asked, source.listing, wishes)
    manifest = replace(propose.propose(found, selection, inspection.model, wishes), allow=choice.allow)
    reasons: tuple[str, ...] = ()
    if aim is not None:
        from hf_pack.steps.advice.source_facts import facts_of_inspection
        from hf_pack.steps.locking.suit import suit  # all that is known of GPUs

        manifest, reasons = suit(manifest, facts_of_inspection(source, inspection), aim)
    if workspace.read(manifest_file(manifest.name)) is not None:
        raise UsageError(
            f"a package of this name is there already\n  {manifest_file(manifest.name)}: exists",
            hint=f"hf-pack add {_typed(asked)} --name ANOTHER, or hf-pack lock {manifest.name}",
        )
    _check(manifest)
    with store.session():
        locked = locking.make_lock(manifest, opened, workspace, store, progress, knowledge=knowledge)
        lock = locked.lock
        locking.write_lock(manifest.name, locked, workspace, store)
        workspace.write(build_meta_file(manifest.name), build_meta(workspace).format())
        # Last: a package is there once its manifest is, so an add that fails can simply run again.
        comments = (*propose.comments(lock.model, lock.source.snapshot_kind, lock.licence), *reasons)
        workspace.write(manifest_file(manifest.name), manifest_text.write(manifest, comments=comments).encode())
    return Added(manifest=manifest, locked=locked, reasons=reasons)


def _typed(asked: PathSource | HubSource) -> str:
    return asked.path if isinstance(asked, PathSource) else f"{asked.repo_id} --revision {asked.revision}"


def _check(manifest: Manifest) -> None:
    """Hold a proposal, with the names that the person wished for, against the rules. Raises UsageError."""
    try:
        manifest_document.parse(manifest_text.write(manifest), manifest.name)
    except manifest_document.ManifestProblems as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        raise UsageError(
            f"the model cannot be added under these names\n{lines}",
            hint="choose others with --name, --triton-name, --layout or --revision",
        ) from None


def build_meta(workspace: Workspace) -> BuildMeta:
    """Metadata of a first build, at the workspace's present commit."""
    head = workspace.git_head()
    return BuildMeta() if head is None else BuildMeta(git_rev=head, git_rev_short=head[:7])
