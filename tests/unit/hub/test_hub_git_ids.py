from __future__ import annotations

from tests.hub import git_ids
from tests.hub.git_ids import TreeEntry


def test_ids_that_git_documents() -> None:
    assert git_ids.blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_ids.tree_id([]) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def test_the_pointer_of_a_published_file_has_the_published_id() -> None:
    # gpt2's flax_model.msgpack, as the documentation of huggingface_hub's list_repo_tree shows it.
    pointer = git_ids.lfs_pointer("d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9", 497_764_107)
    assert len(pointer) == 134
    assert git_ids.blob_id(pointer) == "8095a62ccb4d806da7666fcda07467e2d150218e"


def test_a_directory_sorts_as_if_its_name_ended_in_a_slash() -> None:
    blob = git_ids.blob_id(b"")
    entries = [TreeEntry(name="a", oid=blob, directory=True), TreeEntry(name="a.b", oid=blob, directory=False)]
    file_first = b"100644 a.b\0" + bytes.fromhex(blob) + b"40000 a\0" + bytes.fromhex(blob)
    assert git_ids.tree_id(entries) == git_ids.object_id("tree", file_first)
