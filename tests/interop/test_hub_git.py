"""The test Hub's ids are the ones that git gives the same history."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.hub import Repo
from tests.hub.git_repository import write_git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", directory, *arguments], check=True, capture_output=True, text=True).stdout


def test_git_gives_the_same_ids(tmp_path: Path) -> None:
    repo = Repo(repo_id="org/name")
    repo.commit({"config.json": b"{}", "a/b/c": b"1", "a/b.c": b"2", "a.b": b"3", "model.safetensors": b"weights"})
    repo.tag("v1")
    repo.commit({"a/b/d": b"4"}, delete=["a/b.c"], message="second")
    repo.commit({"e": b""}, branch="dev", message="third")
    repo.pull_request({"config.json": b"[]"})
    write_git(repo, tmp_path / "git")
    refs = dict(line.split()[::-1] for line in git(tmp_path / "git", "show-ref").splitlines())
    assert refs == {
        "refs/heads/main": repo.branches["main"],
        "refs/heads/dev": repo.branches["dev"],
        "refs/tags/v1": repo.tags["v1"],
        **repo.pull_requests,
    }
    for commit in repo.commits.values():
        listed = git(tmp_path / "git", "ls-tree", "-r", "-t", commit.id).splitlines()
        assert {line.split()[3]: line.split()[2] for line in listed} == {
            **{path: file.oid for path, file in commit.files.items()},
            **{path: oid for path, oid in commit.directories.items() if path},
        }
