"""A real git repository with the history of one of the Hub's, large files in Git LFS's place for them.

Made by ``git fast-import``; git then computes the same commit ids as ``repo`` did.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.hub.git_ids import AUTHOR, lfs_pointer
from tests.hub.repo import Commit, File, Repo


def write_git(repo: Repo, directory: Path) -> None:
    """Writes all commits, refs and files of ``repo`` to a new git repository in ``directory``."""
    directory.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", directory], check=True)
    stream = b"".join(_stream(repo))
    subprocess.run(["git", "-C", directory, "fast-import", "--quiet", "--force"], input=stream, check=True)
    for commit in repo.commits.values():
        for file in commit.files.values():
            if file.lfs:
                target = directory / ".git/lfs/objects" / file.sha256[:2] / file.sha256[2:4] / file.sha256
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content.read(0, file.size))


def _stream(repo: Repo) -> Iterator[bytes]:
    marks = {commit: number for number, commit in enumerate(repo.commits, start=1)}
    for commit in repo.commits.values():
        yield f"commit refs/heads/main\nmark :{marks[commit.id]}\n".encode()
        yield f"committer {AUTHOR} {commit.seconds} +0000\n".encode()
        yield _data(f"{commit.message}\n".encode())
        yield f"from :{marks[commit.parent]}\n".encode() if commit.parent else b""
        yield from _files(commit)
    refs = {f"refs/heads/{name}": commit for name, commit in repo.branches.items()}
    refs |= {f"refs/tags/{name}": commit for name, commit in repo.tags.items()} | repo.pull_requests
    for ref, commit_id in refs.items():
        yield f"reset {ref}\nfrom :{marks[commit_id]}\n".encode()


def _files(commit: Commit) -> Iterator[bytes]:
    yield b"deleteall\n"
    for path, file in commit.files.items():
        yield f"M 100644 inline {path}\n".encode()
        yield _data(_held(file))


def _held(file: File) -> bytes:
    return lfs_pointer(file.sha256, file.size) if file.lfs else file.content.read(0, file.size)


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"
