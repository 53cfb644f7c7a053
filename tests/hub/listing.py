"""Files and folders as the Hub's tree listing and paths-info give them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tests.hub.repo import Commit, File, Repo
from tests.hub.site import xet_hash

REDACTED = "*" * 64


def date_of(commit: Commit) -> str:
    """When a commit was made, in the Hub's form."""
    return datetime.fromtimestamp(commit.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def paths_under(commit: Commit, folder: str, *, recursive: bool) -> Iterator[str]:
    """The paths in a folder (``""``: the root) in order, folders among them."""
    prefix = f"{folder}/" if folder else ""
    for path in sorted([*commit.files, *filter(None, commit.directories)]):
        if path.startswith(prefix) and (recursive or "/" not in path[len(prefix) :]):
            yield path


def entry_of(repo: Repo, commit: Commit, path: str, *, expand: bool, xet: bool, reader: bool) -> dict[str, object]:
    """One line of a listing. Where the files are gated and this is no reader, the xet hash is 64 asterisks."""
    if path in commit.directories:
        entry: dict[str, object] = {"type": "directory", "oid": commit.directories[path], "size": 0, "path": path}
    else:
        file = commit.files[path]
        entry = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
        if file.lfs:
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
            if xet:
                entry["xetHash"] = REDACTED if repo.gated and not reader else xet_hash(file)
        if expand:
            entry["securityFileStatus"] = security_of(repo, path)
    if expand:
        last = _last_change(repo, commit, path)
        entry["lastCommit"] = {"id": last.id, "title": last.message, "date": date_of(last)}
    return entry


def security_of(repo: Repo, path: str) -> dict[str, object]:
    """What the Hub's scanners say about a file."""
    status = repo.security.get(path, "safe")
    return {"status": status, "avScan": {"status": status}, "pickleImportScan": None}


def _last_change(repo: Repo, commit: Commit, path: str) -> Commit:
    while commit.parent:
        before = repo.commits[commit.parent]
        if _id_at(before, path) != _id_at(commit, path):
            break
        commit = before
    return commit


def _id_at(commit: Commit, path: str) -> str | None:
    file: File | None = commit.files.get(path)
    return file.oid if file else commit.directories.get(path)
