"""SGLang serves packages from a read-only store, as another user, without a network."""

from __future__ import annotations

import pytest
from tests.e2e.environments import missing
from tests.e2e.packages import PROMPT, QUESTION, REPO_ID, TOKENS, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.serving import SGLANG_ATTEMPTS, Host, chat, new_host, serving, sglang_ids
from tests.hub import TestHub

_MISSING = missing("vllm", "sglang")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]


@pytest.fixture(scope="module")
def host(world: World, box: Sandbox, gone_hub: TestHub) -> Host:
    """Upstream is gone."""
    return new_host(world.place.home / "sglang-user", world.store, box, HF_ENDPOINT=gone_hub.endpoint)


@pytest.mark.parametrize("name", ["dual-self-contained", "single-linked"])
def test_it_continues_as_the_model_does(name: str, world: World, host: Host, gone_hub: TestHub) -> None:
    before = host.sandbox.attempts()
    with serving(host, [world.store_path(name)], "sglang") as server:
        assert sglang_ids(server, PROMPT, TOKENS) == world.said.ids
        assert [model["id"] for model in server.get("/v1/models")["data"]] == [REPO_ID]
    assert gone_hub.requests == ()
    assert host.sandbox.attempts() - before <= SGLANG_ATTEMPTS


def test_patched_tokenizer_and_other_engine_parameters(world: World, host: Host) -> None:
    """One package with both; its weights are the blobs of the others."""
    assert world.packages["patched-other-engine"].references == world.packages["dual-linked"].references
    with serving(host, [world.store_path("patched-other-engine")], "sglang") as server:
        assert sglang_ids(server, PROMPT, TOKENS) == world.said.ids
        assert chat(server, REPO_ID, QUESTION, TOKENS).split() == world.chat_said.text.split()
        assert server.get("/server_info")["context_length"] == 64
