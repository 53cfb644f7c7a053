"""The user's Hub cache as a place to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from hf_pack.adapters.hub.hf_cache import HubCacheFinder
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.ports import WantedBlob

DATA = b"weights"
WANTED = WantedBlob(
    blob=Blob(name="model.safetensors", sha256=Hash.sha256_of(DATA), size=len(DATA)),
    repo_id=RepoId.parse("org/name"),
    commit_hash="c" * 40,
    path="sub/model.safetensors",
)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = tmp_path / "models--org--name"
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / ("c" * 40) / "sub").mkdir(parents=True)
    return repo


def test_an_empty_or_missing_cache_has_nothing(tmp_path: Path) -> None:
    assert HubCacheFinder(tmp_path / "no").find(WANTED) is None
    assert HubCacheFinder(tmp_path).find(WANTED) is None


def test_a_blob_is_found_by_its_etag(tmp_path: Path, repo: Path) -> None:
    place = repo / "blobs" / Hash.sha256_of(DATA).hex()
    place.write_bytes(DATA)
    assert HubCacheFinder(tmp_path).find(WANTED) == place


def test_a_blob_of_the_shared_store_is_found_behind_its_link(tmp_path: Path, repo: Path) -> None:
    shared = tmp_path / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    shared.write_bytes(DATA)
    (repo / "blobs" / Hash.sha256_of(DATA).hex()).symlink_to(f"../../blobs/ab/{'ab' * 32}")
    assert HubCacheFinder(tmp_path).find(WANTED) == shared


def test_a_snapshot_of_real_files_is_looked_at(tmp_path: Path, repo: Path) -> None:
    place = repo / "snapshots" / ("c" * 40) / "sub" / "model.safetensors"
    place.write_bytes(DATA)
    assert HubCacheFinder(tmp_path).find(WANTED) == place


def test_what_cannot_be_the_file_is_passed_over(tmp_path: Path, repo: Path) -> None:
    claim = repo / "blobs" / Hash.sha256_of(DATA).hex()
    claim.write_bytes(DATA + b"!")
    assert HubCacheFinder(tmp_path).find(WANTED) is None
    claim.unlink()
    claim.symlink_to("nowhere")
    assert HubCacheFinder(tmp_path).find(WANTED) is None
    claim.unlink()
    claim.mkdir()
    assert HubCacheFinder(tmp_path).find(WANTED) is None
