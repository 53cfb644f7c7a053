"""``transformers`` loads every package alike, whatever has become of upstream and of the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.e2e.environments import HERE, missing, python
from tests.e2e.packages import PROMPT, REPO_ID, TOKENS, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.serving import Host, new_host
from tests.end_to_end import LAYOUTS, STORAGES
from tests.hub import TestHub

_MISSING = missing("vllm")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]

SCRIPT = HERE / "scripts" / "reference.py"


@pytest.fixture(scope="module")
def user(world: World, box: Sandbox) -> Host:
    return new_host(world.place.home / "transformers-user", world.store, box)


@pytest.fixture(scope="module")
def endpoints(moved_hub: TestHub, gone_hub: TestHub) -> Mapping[str, str]:
    """What has become of upstream, and where it was."""
    return {"moved": moved_hub.endpoint, "gone": gone_hub.endpoint, "unreachable": "http://192.0.2.1"}


def offline(world: World, name: str, endpoint: str) -> list[str | Path]:
    """The environment that ``env`` names, with ``HF_ENDPOINT`` beside it."""
    hub = world.share(name) / "models" / "hub"
    return ["env", f"HF_HUB_CACHE={hub}", "HF_HUB_OFFLINE=1", f"HF_ENDPOINT={endpoint}"]


def model_of(world: World, name: str) -> str:
    """The repo id, or of a package without a Hub cache the directory."""
    layout = name.partition("-")[0]
    return REPO_ID if layout != "single" else str(world.share(name) / "models" / name.replace("-", "_") / "weights")


@pytest.mark.parametrize(
    ("name", "upstream"),
    zip(
        [f"{layout}-{storage}" for layout in LAYOUTS for storage in STORAGES],
        ["moved", "gone", "unreachable"] * 2,
        strict=True,
    ),
)
def test_it_continues_as_the_model_does(
    name: str,
    upstream: str,
    world: World,
    user: Host,
    endpoints: Mapping[str, str],
    moved_hub: TestHub,
    gone_hub: TestHub,
) -> None:
    moved_hub.reset()
    command = [*offline(world, name, endpoints[upstream]), python("vllm"), SCRIPT]
    done = user.run("vllm", *command, model_of(world, name), str(TOKENS), PROMPT)
    found = json.loads(done.stdout)[PROMPT]
    assert found["ids"] == world.said.ids
    assert moved_hub.requests == gone_hub.requests == ()
    assert user.sandbox.attempts() == 0


def test_the_hub_would_have_been_asked(world: World, user: Host, moved_hub: TestHub) -> None:
    """Without ``HF_HUB_OFFLINE`` the client asks, and the record shows it: that it was empty above means something."""
    moved_hub.reset()
    command = [*offline(world, "hf-linked", moved_hub.endpoint), "HF_HUB_OFFLINE=0", python("vllm"), SCRIPT]
    user.run("vllm", *command, REPO_ID, str(TOKENS), PROMPT, check=False)
    assert any(REPO_ID in request.path for request in moved_hub.requests)


def test_the_best_token_leads(world: World) -> None:
    """By more than bfloat16 rounds away at these logits, so that all runtimes have to agree."""
    assert len(world.said.ids) == TOKENS
    assert world.said.lead > 0.4
