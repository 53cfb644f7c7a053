"""A git clone: which commit and repository it says it is, read from ``.git`` without running git."""

from __future__ import annotations

import re
from pathlib import Path

from hf_pack.adapters.local.place import Place, kind_of_snapshot, text_of
from hf_pack.model.hub_ids import HubIdError, RepoId, is_commit

_HUB_URL = re.compile(
    r"(?:https?://(?:[^@/]*@)?|ssh://git@|git@)(?:huggingface\.co|hf\.co|hf-mirror\.com)[:/](?P<id>[^/]+(?:/[^/]+)?)/?"
)
_REMOTE_URL = re.compile(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', re.MULTILINE)
_REF_HOPS = 5  # HEAD is one hop from its branch; symbolic refs of symbolic refs are rare and short


def is_git_clone(directory: Path) -> bool:
    """Whether the directory is the top of a git working tree."""
    return _git_directory(directory) is not None


def open_git_clone(directory: Path) -> Place:
    """The working tree. HEAD counts as a Hub commit only where the remote is the Hub."""
    git = _git_directory(directory) or directory / ".git"
    common = _common_directory(git)
    commit = _head(git, common)
    repo_id = _repo_id(text_of(common / "config") or "")
    notes = []
    if repo_id is None:
        notes.append("the clone's remote is no repository of the Hub: its commit is not taken for one")
        commit = None
    elif commit is None:
        notes.append("the clone has no commit checked out")
    else:
        notes.append("a git clone's files are taken as they lie there, whether committed or not")
    return Place(
        kind="git",
        directory=directory,
        boundary=directory,
        mend="git lfs pull",
        repo_id=repo_id,
        snapshot_id=commit,
        snapshot_kind=kind_of_snapshot(directory, commit) if commit else None,
        notes=tuple(notes),
    )


def _git_directory(directory: Path) -> Path | None:
    dot_git = directory / ".git"
    if (dot_git / "HEAD").is_file():
        return dot_git
    if dot_git.is_file():  # a worktree or submodule: "gitdir: <path>"
        target = directory / (text_of(dot_git) or "").removeprefix("gitdir:").strip()
        if (target / "HEAD").is_file():
            return target
    return None


def _common_directory(git: Path) -> Path:
    common = text_of(git / "commondir")
    return git / common.strip() if common else git


def _head(git: Path, common: Path) -> str | None:
    value = (text_of(git / "HEAD") or "").strip()
    for _ in range(_REF_HOPS):
        if is_commit(value):
            return value
        if not value.startswith("ref:"):
            return None
        ref = value.removeprefix("ref:").strip()
        if ".." in ref.split("/"):
            return None
        loose = text_of(git / ref) or text_of(common / ref)
        value = loose.strip() if loose else _packed(common, ref)
    return None


def _packed(common: Path, ref: str) -> str:
    for line in (text_of(common / "packed-refs") or "").splitlines():
        commit, _, name = line.partition(" ")
        if name.strip() == ref:
            return commit
    return ""


def _repo_id(config: str) -> RepoId | None:
    remote = _REMOTE_URL.search(config)
    address = _HUB_URL.fullmatch(remote[1].removesuffix(".git")) if remote else None
    if address is None:
        return None
    try:
        return RepoId.parse(address["id"])
    except HubIdError:
        return None
