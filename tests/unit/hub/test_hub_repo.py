from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.hub import DeclaredFile, DiskFile, Repo
from tests.hub.repo import LFS_SIZE, file_of


def repo_with(**files: bytes) -> Repo:
    repo = Repo(repo_id="org/name")
    repo.commit({name.replace("_", "."): content for name, content in files.items()})
    return repo


@pytest.mark.parametrize(("name", "lfs"), [("model.safetensors", True), ("model.gguf", True), ("a/config.json", False)])
def test_a_file_is_large_by_its_name(name: str, lfs: bool) -> None:
    assert file_of(name, b"x").lfs is lfs


def test_a_file_is_large_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(LFS_SIZE + 1))
    file = file_of("data.json", tmp_path / "file")
    assert file.lfs
    assert file.sha256 == hashlib.sha256(bytes(LFS_SIZE + 1)).hexdigest()
    assert not file_of("data.json", bytes(LFS_SIZE)).lfs


def test_a_declared_file_has_its_header_and_zeros_and_a_known_file_is_believed(tmp_path: Path) -> None:
    declared = DeclaredFile(1 << 40, "ab" * 32, b"head")
    assert file_of("model.safetensors", declared).sha256 == "ab" * 32
    assert declared.read(2, 6) == b"ad\0\0"
    assert declared.read((1 << 40) - 2, 1 << 40) == b"\0\0"
    (tmp_path / "file").write_bytes(b"abc")
    assert file_of("model.bin", DiskFile(tmp_path / "file", "cd" * 32)).etag == "cd" * 32


def test_every_way_to_name_a_commit() -> None:
    repo = repo_with(config_json=b"1")
    first = repo.main
    repo.tag("v1")
    second = repo.commit({"config.json": b"2"})
    ref = repo.pull_request({"config.json": b"3"})
    dev = repo.commit({"new": b""}, delete=["config.json"], branch="dev/x")
    names = {"main": second, "HEAD": second, "refs/heads/main": second, "v1": first, "refs/tags/v1": first}
    names |= {"dev/x": dev, first: first, first[:7]: first, ref: repo.pull_requests["refs/pr/1"]}
    assert {name: repo.at(name).id for name in names} == names
    assert set(repo.at("dev/x").files) == {"new"}
    assert repo.at(ref).parent == second
    for unknown in ("nothing", first[:6], "0" * 40, first[:10].upper() + "G"):
        with pytest.raises(KeyError):
            repo.at(unknown)


def test_the_same_history_has_the_same_ids_and_another_has_others() -> None:
    assert repo_with(config_json=b"1").main == repo_with(config_json=b"1").main
    assert repo_with(config_json=b"1").main != repo_with(config_json=b"2").main
