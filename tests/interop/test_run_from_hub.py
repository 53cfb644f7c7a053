"""``run`` from a repo id: who is asked the first time, the next time, and when told to ask again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.from_hub import HubPlace, hub_place
from tests.hub import TestHub
from tests.models import tiny_model

REPO = "acme/tiny-llm"
PRINT = ("--runtime", "vllm", "--print", "--json")


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        yield hub
        assert not hub.leaks


@pytest.fixture
def place(tmp_path: Path, hub: TestHub) -> HubPlace:
    return hub_place(tmp_path / "user", hub)


def test_the_next_time_asks_nobody(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo(REPO, tiny_model())
    first = place.done("run", REPO, *PRINT).document
    assert first["model_names"] == [REPO]
    hub.reset()
    again = place.done("run", REPO, *PRINT).document
    assert (again, hub.requests) == (first, ())


def test_an_update_asks_again(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, tiny_model())
    first = place.done("run", REPO, *PRINT).document
    repo.commit(tiny_model(seed=5))
    assert place.done("run", REPO, *PRINT).document == first
    updated = place.done("run", REPO, "--update", *PRINT).document
    assert updated["store_paths"] != first["store_paths"]
    assert place.done("run", REPO, *PRINT).document == updated


def test_every_revision_has_a_workspace_of_its_own(hub: TestHub, place: HubPlace) -> None:
    repo = hub.add_repo(REPO, tiny_model())
    earlier = repo.main
    repo.commit(tiny_model(seed=5))
    newest = place.done("run", REPO, *PRINT).document["loads"]
    pinned = place.done("run", REPO, "--revision", earlier, *PRINT).document["loads"]
    assert pinned.endswith(f"/snapshots/{earlier}")
    assert newest != pinned
    assert place.done("run", REPO, *PRINT).document["loads"] == newest
    workspaces = sorted(path.name[:14] for path in (place.home / ".local/state/hf-pack/run").iterdir())
    assert workspaces == ["acme--tiny-llm"] * 2


def test_a_model_that_the_hub_does_not_have_leaves_no_package(hub: TestHub, place: HubPlace) -> None:
    assert place.ran("run", "acme/none", *PRINT).code == 4
    hub.add_repo("acme/none", tiny_model())
    assert place.done("run", "acme/none", *PRINT).document["model_names"] == ["acme/none"]
