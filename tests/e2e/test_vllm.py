"""vLLM serves packages from a read-only store, as another user, without a network."""

from __future__ import annotations

import pytest
from tests.e2e.environments import missing
from tests.e2e.packages import PROMPT, QUESTION, REPO_ID, TOKENS, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.serving import Host, chat, new_host, serving, vllm_ids
from tests.hub import TestHub

_MISSING = missing("vllm")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]


@pytest.fixture(scope="module")
def host(world: World, box: Sandbox, moved_hub: TestHub) -> Host:
    """Upstream has moved: another commit, other weights."""
    return new_host(world.place.home / "vllm-user", world.store, box, HF_ENDPOINT=moved_hub.endpoint)


@pytest.mark.parametrize("name", ["dual-linked", "hf-linked", "single-self-contained"])
def test_it_continues_as_the_model_does(name: str, world: World, host: Host, moved_hub: TestHub) -> None:
    with serving(host, [world.store_path(name)], "vllm") as server:
        assert vllm_ids(server, REPO_ID, PROMPT, TOKENS) == world.said.ids
        (model,) = server.get("/v1/models")["data"]
        assert (model["id"], model["max_model_len"]) == (REPO_ID, 128)
    assert moved_hub.requests == ()
    assert host.sandbox.attempts() == 0


def test_a_patched_tokenizer_is_served_from_the_same_blobs(world: World, host: Host) -> None:
    assert world.packages["patched"].references == world.packages["dual-linked"].references
    with serving(host, [world.store_path("patched")], "vllm") as server:
        assert vllm_ids(server, REPO_ID, PROMPT, TOKENS) == world.said.ids
        assert chat(server, REPO_ID, QUESTION, TOKENS).split() == world.chat_said.text.split()
