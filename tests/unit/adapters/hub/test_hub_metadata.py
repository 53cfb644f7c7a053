"""What is learnt about a revision, against the test Hub through the real client."""

from __future__ import annotations

import pytest
from tests.hub import DeclaredFile, TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, REPO, settings_of

from hf_pack.adapters.hub.hub_errors import UnknownRevisionError
from hf_pack.adapters.hub.metadata import HubSnapshot, list_snapshot
from hf_pack.adapters.hub.retrying import Waits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.errors import HubError
from hf_pack.model.hub_ids import RepoId

FILES = {"config.json": b"{}", "sub/model.safetensors": b"weights"}


def ask(hub: TestHub, revision: str = "main", *, repo_id: str = REPO, token: str | None = TestHub.token) -> HubSnapshot:
    return list_snapshot(RepoId.parse(repo_id), revision, settings_of(hub, token=token), IMPATIENT, Waits())


def refusal(
    hub: TestHub, revision: str = "main", *, repo_id: str = REPO, token: str | None = TestHub.token
) -> HubError:
    with pytest.raises(HubError) as caught:
        ask(hub, revision, repo_id=repo_id, token=token)
    return caught.value


def test_one_request_tells_it_all() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        snapshot = ask(hub)
        assert len(hub.requests) == 1
        assert hub.bytes_by_file == {}
        assert snapshot.commit_hash == repo.main
        assert snapshot.gated is None
        small, large = snapshot.files
        assert (small.path, small.size, small.sha256) == ("config.json", 2, None)
        assert small.git_blob_id == repo.file("config.json").oid
        assert (large.path, large.size) == ("sub/model.safetensors", 7)
        assert large.sha256 is not None
        assert large.sha256.hex() == repo.file("sub/model.safetensors").sha256


def test_every_kind_of_revision_is_a_commit() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        first = repo.main
        repo.tag("v1.0")
        repo.commit({"config.json": b"[]"})
        repo.commit({"config.json": b"1"}, branch="feature/x")
        request = repo.pull_request({"config.json": b"2"})
        assert ask(hub).commit_hash == repo.main != first
        assert ask(hub, "v1.0").commit_hash == first
        assert ask(hub, first).commit_hash == first
        assert ask(hub, first[:8]).commit_hash == first
        assert ask(hub, "feature/x").commit_hash == repo.branches["feature/x"]
        assert ask(hub, request).commit_hash == repo.pull_requests[request]


def test_a_huge_model_is_as_quick() -> None:
    shards = {f"model-{index:05}-of-00100.safetensors": DeclaredFile(15 << 30, f"{index:064x}") for index in range(100)}
    with TestHub() as hub:
        hub.add_repo(REPO, shards)
        assert sum(file.size for file in ask(hub).files) == 100 * 15 << 30
        assert len(hub.requests) == 1
        assert hub.bytes_sent < 100_000


def test_an_unknown_revision_names_near_ones() -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        repo.tag("v1.0")
        repo.tag("v1.1")
        error = refusal(hub, "v1.00")
        assert isinstance(error, UnknownRevisionError)
        assert error.message == "the model has no such revision\n  org/name, revision v1.00: HTTP 404"
        assert error.hint == "it has: v1.0, v1.1"


def test_an_unknown_and_a_private_repository_look_alike() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES, private=True)
        for repo_id in (REPO, "org/none"):
            error = refusal(hub, repo_id=repo_id, token=None)
            assert error.message == (
                f"the Hub has no such model, or it is private\n  {repo_id}, revision main: HTTP 401"
            )
            assert error.hint == (
                f"check the name at {hub.endpoint}/{repo_id}\nif it is private, log in: hf auth login"
            )
        error = refusal(hub, token=hub.stranger_token)
        assert error.message.endswith("HTTP 404")
        assert error.hint.endswith("if it is private, see which account asks: hf auth whoami")
        assert len(ask(hub).files) == len(FILES)


def test_a_gated_repository_can_be_listed() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES, gated="manual")
        assert ask(hub, token=None).gated == "manual"


def test_a_disabled_repository_is_refused() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES, disabled=True)
        error = refusal(hub)
        assert error.message.startswith("the Hub has disabled this repository\n  org/name, revision main")
        assert error.hint == f"see {hub.endpoint}/org/name for the reason"


def test_a_wrong_token_is_named_as_such() -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        error = refusal(hub, token="hf_NobodysToken")
        assert "hf_NobodysToken" not in error.message + error.hint


def test_offline_asks_nobody() -> None:
    with TestHub() as hub:
        with pytest.raises(HubError) as caught:
            list_snapshot(
                RepoId.parse(REPO), "main", HubSettings(endpoint=hub.endpoint, offline=True), IMPATIENT, Waits()
            )
        assert caught.value.message == (
            "the Hub is not asked, because HF_HUB_OFFLINE is set\n  org/name, revision main"
        )
        assert caught.value.hint == "unset HF_HUB_OFFLINE"
        assert not hub.requests
