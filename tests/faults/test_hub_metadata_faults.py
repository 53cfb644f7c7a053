"""A revision is resolved, while the Hub has troubles."""

from __future__ import annotations

from typing import Any

import pytest
from tests.hub import TestHub
from tests.unit.adapters.hub.reception import IMPATIENT, REPO, settings_of

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.metadata import list_snapshot
from hf_pack.adapters.hub.retrying import Waits
from hf_pack.errors import HubError
from hf_pack.model.hub_ids import RepoId

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("status", {"status": 503, "times": 3}),
        ("status", {"status": 500}),
        ("status", {"status": 429, "retry_after": 0}),
        ("hang", {}),
        ("drop", {"at": 0}),
        ("drop", {"at": 10}),
        ("reset", {"at": 10}),
        ("short", {"at": 10}),
        ("stall", {"at": 10}),
    ],
)
def test_what_may_pass_is_tried_again(kind: Any, fields: dict[str, Any]) -> None:
    with TestHub() as hub:
        repo = hub.add_repo(REPO, FILES)
        hub.fault(kind, stage="api", **fields)
        assert list_snapshot(RepoId.parse(REPO), "main", settings_of(hub), IMPATIENT, Waits()).commit_hash == repo.main


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("status", {"status": 503}, "the Hub has trouble\n  org/name, revision main: HTTP 503"),
        ("status", {"status": 429, "retry_after": 9999}, "the Hub's rate limit is reached; it ends in 9999 s\n"),
        ("short", {"at": 10}, "the Hub's answer cannot be understood (JSONDecodeError)\n"),
    ],
)
def test_what_does_not_pass_is_an_error(kind: Any, fields: dict[str, Any], message: str) -> None:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        hub.fault(kind, stage="api", times=None, **fields)
        with pytest.raises(HubError) as caught:
            list_snapshot(RepoId.parse(REPO), "main", settings_of(hub), IMPATIENT, Waits())
        assert caught.value.message.startswith(message)


def test_a_hub_that_is_not_there() -> None:
    with TestHub() as hub:
        settings = settings_of(hub)
    with pytest.raises(HubError) as caught:
        list_snapshot(RepoId.parse(REPO), "main", settings, Limits(attempts=2, backoff_seconds=0.001), Waits())
    assert caught.value.message == f"{hub.endpoint} refuses connections\n  org/name, revision main"
