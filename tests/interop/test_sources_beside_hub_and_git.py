"""Our reading of caches and clones beside that of the tools which make them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import pytest
from tests.models import COMMIT, REPO_ID, tiny_model, write_flat, write_hf_cache

from hf_pack.adapters.local.source import open_source

FILES = tiny_model(shards=2)


@pytest.mark.parametrize("layout", ["links", "files", "shared"])
def test_the_hub_client_finds_the_same_files(layout: Literal["links", "files", "shared"], tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
    repo = write_hf_cache(tmp_path, REPO_ID, COMMIT, FILES, layout=layout)
    found = Path(hub.snapshot_download(REPO_ID, cache_dir=tmp_path, local_files_only=True))
    listing = open_source(repo).listing
    assert listing.place == str(found)
    assert [file.path for file in listing.files] == sorted(
        path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()
    )
    scanned = hub.scan_cache_dir(tmp_path)
    assert [(str(repo.repo_id), len(repo.revisions)) for repo in scanned.repos] == [(REPO_ID, 1)]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("worktree", [False, True])
def test_head_is_what_git_says(packed: bool, worktree: bool, tmp_path: Path) -> None:
    def git(*arguments: str, at: Path) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ("git", *identity, *arguments)
        return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True).stdout.strip()

    clone = write_flat(tmp_path / "clone", FILES)
    git("init", "-q", at=clone)
    git("remote", "add", "origin", f"https://huggingface.co/{REPO_ID}", at=clone)
    git("add", ".", at=clone)
    git("commit", "-qm", "all", at=clone)
    if packed:
        git("pack-refs", "--all", at=clone)
    tree = clone
    if worktree:
        tree = tmp_path / "tree"
        git("worktree", "add", "-q", "-b", "side", str(tree), at=clone)
    listing = open_source(tree).listing
    assert listing.snapshot_id == git("rev-parse", "HEAD", at=tree)
    assert (listing.kind, str(listing.repo_id)) == ("git", REPO_ID)
    assert [file.path for file in listing.files] == sorted(FILES)
