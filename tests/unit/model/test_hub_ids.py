from __future__ import annotations

import pytest

from hf_pack.model.hub_ids import HubIdError, RepoId, check_snapshot_id, is_commit


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Qwen/Qwen3.5-2B", "Qwen--Qwen3.5-2B"),
        ("gpt2", "gpt2"),
        ("a/b_c", "a--b_c"),
        ("_a/9", "_a--9"),
        ("a/" + "b" * 96, "a--" + "b" * 96),
    ],
)
def test_every_form_is_read_back(text: str, slug: str) -> None:
    repo_id = RepoId.parse(text)
    assert str(repo_id) == text
    assert repo_id.slug == slug
    assert repo_id.folder == "models--" + slug
    assert RepoId.parse_slug(slug) == RepoId.parse_folder(repo_id.folder) == repo_id


@pytest.mark.parametrize(
    "text", ["", "a/", "/a", "a/b/c", "a b", "-a/b", "a/b-", ".a", "a--b/c", "a..b", "a/b.git", "a/" + "b" * 97, "é"]
)
def test_what_the_hub_refuses_is_refused(text: str) -> None:
    with pytest.raises(HubIdError):
        RepoId.parse(text)


def test_a_folder_has_its_prefix() -> None:
    with pytest.raises(HubIdError, match="does not start with 'models--'"):
        RepoId.parse_folder("datasets--a--b")
    with pytest.raises(HubIdError, match="has 3 parts"):
        RepoId.parse_folder("models--a--b--c")


def test_commits_are_what_the_client_resolves_offline() -> None:
    assert is_commit("0123456789abcdef" * 2 + "01234567")
    assert not is_commit("A" * 40)
    assert not is_commit("a" * 39)
    assert not is_commit("a" * 40 + "\n")


@pytest.mark.parametrize("snapshot_id", ["a", "main", "a" * 128, "int4-1.0_x"])
def test_good_snapshot_ids(snapshot_id: str) -> None:
    assert check_snapshot_id(snapshot_id) == snapshot_id


@pytest.mark.parametrize("snapshot_id", ["", "a/b", "..", "a..b", ".a", "-a", "a" * 129, "a\n"])
def test_bad_snapshot_ids(snapshot_id: str) -> None:
    with pytest.raises(HubIdError):
        check_snapshot_id(snapshot_id)
