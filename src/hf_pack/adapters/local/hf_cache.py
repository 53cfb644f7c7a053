"""A repository in a Hub cache: ``models--org--name/{refs,blobs,snapshots}`` (huggingface_hub, its cache guide).

Also what copies that form: a quantizer's output (real files, ids of its own) and ModelScope's cache.
"""

from __future__ import annotations

import re
from pathlib import Path

from hf_pack.adapters.local.place import Place, kind_of_snapshot, names_in, text_of
from hf_pack.errors import SourceError
from hf_pack.model.hub_ids import FOLDER_PREFIX, HubIdError, RepoId, SnapshotKind, check_snapshot_id
from hf_pack.model.source_problems import SourceProblem

SHARED_BLOBS_MARKER = ".huggingface-shared-blobs"

_INCOMPLETE = re.compile(r"(?P<etag>[^.]+)(?:\.[0-9a-f]+)?\.incomplete")


def is_repo(directory: Path) -> bool:
    """Whether this is a repository's directory in a cache: it has snapshots and is no model itself."""
    return (directory / "snapshots").is_dir() and not (directory / "config.json").exists()


def repos_in(cache: Path) -> tuple[Path, ...]:
    """The model repositories of a cache root, or of an ``HF_HOME`` (whose root is ``hub``)."""
    for root in (cache, cache / "hub"):
        found = [root / name for name in names_in(root) if name.startswith(FOLDER_PREFIX)]
        if found:
            return tuple(directory for directory in found if directory.is_dir())
    return ()


def open_cache(cache: Path, repos: tuple[Path, ...], snapshot_id: str | None) -> Place:
    """The only repository of a cache. Raises SourceError for several."""
    if len(repos) > 1:
        names = ", ".join(repo.name for repo in repos)
        raise SourceError(
            f"{cache}: expected one model, found a cache of {len(repos)}: {names}",
            hint=f"give one of them: {repos[0]}",
        )
    return open_repo(repos[0], snapshot_id)


def open_repo(repo: Path, snapshot_id: str | None, *, kind: str = "hf-cache") -> Place:
    """One snapshot of a repository: the asked-for one, else ``refs/main``, else the only one.

    Raises SourceError.
    """
    repo_id = _repo_id(repo)
    there = tuple(name for name in names_in(repo / "snapshots") if (repo / "snapshots" / name).is_dir())
    main = text_of(repo / "refs" / "main")
    notes = []
    if main is not None and main != main.strip():
        notes.append("refs/main ends in a newline, which the Hub's libraries take for a part of the id")
    chosen = _choose(repo, repo_id, there, main.strip() if main else None, snapshot_id)
    directory = repo / "snapshots" / chosen
    is_hub = repo.name.startswith(FOLDER_PREFIX) and chosen not in ("master", "main")
    if not is_hub:
        notes.append(
            f"{repo.name}/snapshots/{chosen} is no commit of the Hub (a ModelScope cache?): taken as plain files"
        )
    elif kind_of_snapshot(directory, chosen) is SnapshotKind.FINGERPRINT:
        notes.append(f"snapshot {chosen} is a quantizer's fingerprint, not a commit of the Hub")
    return Place(
        kind=kind if is_hub else "flat",
        directory=directory,
        boundary=repo,
        mend=_download(repo_id, chosen),
        repo_id=repo_id,
        snapshot_id=_checked(directory, chosen) if is_hub else None,
        snapshot_kind=kind_of_snapshot(directory, chosen) if is_hub else None,
        notes=tuple(notes),
        problems=_unfinished(repo, repo_id, chosen),
    )


def is_cache_blob(real: Path) -> bool:
    """Whether a resolved path is a blob of some Hub cache: a repository's own, or one of the shared store."""
    parent = real.parent
    if parent.name == "blobs":
        return parent.parent.name.startswith(FOLDER_PREFIX)
    return parent.parent.name == "blobs" and (parent.parent / SHARED_BLOBS_MARKER).exists()


def _repo_id(repo: Path) -> RepoId | None:
    if not repo.name.startswith(FOLDER_PREFIX):
        if repo.name.startswith(("datasets--", "spaces--", "kernels--")):
            raise SourceError(f"{repo}: expected a model, found {repo.name.split('--')[0]} of the Hub")
        return _of_modelscope(repo.name)
    try:
        return RepoId.parse_folder(repo.name)
    except HubIdError as error:
        raise SourceError(f"{repo}: {error}", hint="rename the directory to models--<org>--<name>") from None


def _of_modelscope(folder: str) -> RepoId | None:
    try:
        return RepoId.parse_slug(folder) if "--" in folder else None
    except HubIdError:
        return None


def _checked(directory: Path, snapshot_id: str) -> str:
    try:
        return check_snapshot_id(snapshot_id)
    except HubIdError as error:
        raise SourceError(f"{directory}: {error}", hint="rename the snapshot's directory") from None


def _choose(repo: Path, repo_id: RepoId | None, there: tuple[str, ...], main: str | None, asked: str | None) -> str:
    listed = ", ".join(there) or "none"
    if asked is not None:
        if asked not in there:
            raise SourceError(
                f"{repo}: expected snapshot {asked}, found {listed}",
                hint=_download(repo_id, asked) if not there else f'snapshot_id = "{there[0]}"',
            )
        return asked
    if main is not None:
        if main not in there:
            raise SourceError(
                f"{repo}: refs/main names snapshot {main or 'nothing'}, found {listed}",
                hint=_download(repo_id, main or "main"),
            )
        return main
    if not there:
        raise SourceError(f"{repo}: expected a snapshot, found none", hint=_download(repo_id, "main"))
    if len(there) > 1:
        raise SourceError(
            f"{repo}: expected one snapshot or a refs/main that chooses, found {len(there)}: {listed}",
            hint=f'choose one in the manifest: snapshot_id = "{there[0]}"',
        )
    return there[0]


def _download(repo_id: RepoId | None, revision: str) -> str:
    return f"hf download {repo_id} --revision {revision}" if repo_id else "download the model again"


def _unfinished(repo: Path, repo_id: RepoId | None, chosen: str) -> tuple[SourceProblem, ...]:
    # A killed download leaves its part for ever; it matters only while the whole blob is not there.
    blobs = frozenset(names_in(repo / "blobs"))
    found = ((name, _INCOMPLETE.fullmatch(name)) for name in sorted(blobs))
    return tuple(
        SourceProblem(
            path=f"blobs/{name}",
            problem="expected a finished download, found a part of one",
            hint=f"{_download(repo_id, chosen)}  (or delete the part, if no file of this snapshot)",
        )
        for name, match in found
        if match is not None and match["etag"] not in blobs
    )
