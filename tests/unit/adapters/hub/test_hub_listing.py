"""The Hub's list of files, held against itself.

The two published entries are those of gpt2 in the documentation of ``huggingface_hub``, ``HfApi.list_repo_tree``.
"""

from __future__ import annotations

from typing import Any

import pytest

from hf_pack.adapters.hub.listing import StatedFile, checked_files, git_blob_id, pointer_text
from hf_pack.errors import SourceError

OID = "a" * 64
SMALL = StatedFile(path="config.json", size=2, git_blob_id=git_blob_id(b"{}"))


def large(path: str = "model.safetensors", **fields: Any) -> StatedFile:
    values: dict[str, Any] = {
        "size": 100,
        "git_blob_id": git_blob_id(pointer_text(OID, 100)),
        "lfs_sha256": OID,
        "lfs_size": 100,
        "lfs_pointer_size": len(pointer_text(OID, 100)),
    }
    return StatedFile(path=path, **{**values, **fields})


def refusal(*files: StatedFile) -> str:
    with pytest.raises(SourceError) as caught:
        checked_files("org/name at main", files)
    return caught.value.message


def test_git_calls_an_empty_file_so() -> None:
    assert git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # `git hash-object /dev/null`


@pytest.mark.parametrize(
    ("path", "size", "blob_id", "oid"),
    [
        (
            "flax_model.msgpack",
            497764107,
            "8095a62ccb4d806da7666fcda07467e2d150218e",
            "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9",
        ),
        (
            "pytorch_model.bin",
            548123560,
            "64eaa9c526867e404b68f2c5d66fd78e27026523",
            "9be78edb5b928eba33aa88f431551348f7466ba9f5ef3daf1d552398722a5436",
        ),
    ],
)
def test_published_entries_agree_with_themselves(path: str, size: int, blob_id: str, oid: str) -> None:
    stated = large(path, size=size, git_blob_id=blob_id, lfs_sha256=oid, lfs_size=size, lfs_pointer_size=134)
    assert checked_files("gpt2", [stated])[0].path == path


def test_files_are_sorted_and_keep_what_the_hub_says() -> None:
    files = checked_files("x", [large(), SMALL])
    assert [file.path for file in files] == ["config.json", "model.safetensors"]
    assert files[0].sha256 is None
    assert files[0].git_blob_id == "9e26dfeeb6e641a33dae4961196235bdb965b21b"
    assert files[1].sha256 is not None
    assert files[1].sha256.hex() == OID


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"git_blob_id": None}, "expected a git blob id of 40 hex digits, found none"),
        ({"git_blob_id": "g" * 40}, "expected a git blob id of 40 hex digits, found none"),
        ({"size": None}, "expected a size in bytes, found none"),
        ({"size": -1}, "expected a size in bytes, found none"),
        ({"lfs_sha256": "a" * 63}, "expected an LFS oid of 64 hex digits, found something else"),
        ({"lfs_size": 99}, "expected one size, found 100 and, by LFS, 99 bytes"),
        ({"lfs_sha256": "c" * 64}, "expected the LFS oid that the git blob id stands for, found another"),
        ({"size": 101, "lfs_size": 101}, "expected the LFS oid that the git blob id stands for, found another"),
    ],
)
def test_a_list_that_contradicts_itself_is_refused(fields: dict[str, Any], problem: str) -> None:
    assert refusal(large(**fields)) == (
        f"the model in org/name at main cannot be packaged: 1 problem\n  model.safetensors: {problem}"
    )


def test_a_pointer_written_in_another_way_proves_nothing_and_passes() -> None:
    checked_files("x", [large(git_blob_id="d" * 40, lfs_pointer_size=200)])


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", "C:x", "a\\b", "a\nb", "x" * 256, ""])
def test_an_unsafe_path_is_refused(path: str) -> None:
    assert "expected" in refusal(StatedFile(path=path, size=2, git_blob_id=git_blob_id(b"{}")))


@pytest.mark.parametrize("path", [".git/config", ".cache/huggingface/x", "a/.DS_Store"])
def test_bookkeeping_is_not_listed(path: str) -> None:
    files = checked_files("x", [SMALL, StatedFile(path=path, size=2, git_blob_id=git_blob_id(b"{}"))])
    assert [file.path for file in files] == ["config.json"]


def test_names_that_collide_are_refused() -> None:
    other = StatedFile(path="Config.json", size=2, git_blob_id=git_blob_id(b"{}"))
    assert "expected names that differ in more than case, found config.json" in refusal(SMALL, other)
    assert "config.json: is listed twice" in refusal(SMALL, SMALL)
