"""What the Hub says about a revision, without downloading a file: usually one request."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_pack.adapters.hub.client import ask_client, open_client
from hf_pack.adapters.hub.hub_errors import Place, UnknownRevisionError, hub_error, offline_error
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.listing import StatedFile, checked_files
from hf_pack.adapters.hub.retrying import Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.errors import HubError
from hf_pack.model.hub_ids import RepoId, is_commit
from hf_pack.ports import SourceFile

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_MOST_SIBLINGS = 50_000  #: the model's own page cuts its list of files off there


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSnapshot:
    """A revision, resolved: ``commit_hash`` is 40 hex digits, ``gated`` ``auto``, ``manual`` or None."""

    commit_hash: str
    files: tuple[SourceFile, ...]
    gated: str | None
    licence: str | None = None  #: of the model card as the Hub read it; ``other`` gives way to its name


def list_snapshot(repo_id: RepoId, revision: str, settings: HubSettings, limits: Limits, waits: Waits) -> HubSnapshot:
    """Resolve ``revision`` (branch, tag, commit in full or short, ``refs/pr/N``) and list the files at its commit.

    Raises HubError; SourceError when the list names files that cannot be packaged or contradicts itself.
    """
    place = Place(
        endpoint=settings.endpoint,
        repo_id=str(repo_id),
        revision=revision,
        logged_in=settings.token is not None,
    )
    if settings.offline:
        raise offline_error(place)
    with open_client(settings, limits) as client:
        try:
            info = ask_client(
                lambda: client.model_info(
                    str(repo_id), revision=revision, files_metadata=True, timeout=limits.stall_seconds
                ),
                limits,
                waits,
                place,
            )
        except UnknownRevisionError as error:
            raise _with_near_revisions(error, client, limits, waits, place) from None
        commit_hash = info.sha
        if not isinstance(commit_hash, str) or not is_commit(commit_hash):
            raise hub_error("the Hub does not say which commit the revision is", place)
        if info.disabled:
            raise hub_error("the Hub has disabled this repository", place, hint=f"see {place.page} for the reason")
        stated = [_of_sibling(sibling) for sibling in info.siblings or ()]
        if len(stated) >= _MOST_SIBLINGS or any(file.size is None or file.git_blob_id is None for file in stated):
            stated = ask_client(lambda: _tree(client, str(repo_id), commit_hash), limits, waits, place)
    if not stated:
        raise hub_error("the repository holds no files at this revision", place)
    return HubSnapshot(
        commit_hash=commit_hash,
        files=checked_files(f"{repo_id} at {commit_hash}", stated),
        gated=info.gated if info.gated in ("auto", "manual") else None,
        licence=_licence(info.card_data),
    )


def _licence(card: Any) -> str | None:
    stated, name = getattr(card, "license", None), getattr(card, "license_name", None)
    stated = stated[0] if isinstance(stated, list) and len(stated) == 1 else stated
    if not isinstance(stated, str) or not stated:
        return None
    return name if stated == "other" and isinstance(name, str) and name else stated


def _of_sibling(sibling: Any) -> StatedFile:
    return StatedFile(path=sibling.rfilename, size=sibling.size, git_blob_id=sibling.blob_id, **_lfs(sibling.lfs))


def _tree(client: HfApi, repo_id: str, commit_hash: str) -> list[StatedFile]:
    from huggingface_hub.hf_api import RepoFile

    return [
        StatedFile(
            path=entry.path,
            size=entry.size,
            git_blob_id=entry.blob_id,
            **_lfs(entry.lfs),
        )
        for entry in client.list_repo_tree(repo_id, recursive=True, revision=commit_hash)
        if isinstance(entry, RepoFile)
    ]


def _lfs(lfs: Any) -> dict[str, Any]:
    if lfs is None:
        return {}
    return {"lfs_sha256": lfs.sha256, "lfs_size": lfs.size, "lfs_pointer_size": lfs.pointer_size}


def _with_near_revisions(error: HubError, client: HfApi, limits: Limits, waits: Waits, place: Place) -> HubError:
    try:
        refs = ask_client(lambda: client.list_repo_refs(place.repo_id), limits, waits, place)
    except HubError:
        return error
    names = [ref.name for ref in (*refs.branches, *refs.tags) if ref.name.isprintable()]
    near = difflib.get_close_matches(place.revision, names, n=5, cutoff=0.5) or names[:8]
    return type(error)(error.message, hint=f"it has: {', '.join(near)}") if near else error
