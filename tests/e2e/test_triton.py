"""The real Triton serves packages from a read-only store in its default mode, as another user, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.environments import missing
from tests.e2e.packages import PROMPT, TOKENS, World
from tests.e2e.sandbox import Sandbox
from tests.e2e.serving import Host, new_host, serving, started, triton_text
from tests.hub import TestHub

_MISSING = missing("vllm", "triton")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]

QUIET = "--allow-metrics=false"


@pytest.fixture(scope="module")
def host(world: World, box: Sandbox, moved_hub: TestHub) -> Host:
    """``transformers`` generates: seconds instead of minutes a start. vLLM parses the engine arguments all the same."""
    variables = {"HF_ENDPOINT": moved_hub.endpoint, "HF_PACK_TEST_ENGINE": "transformers"}
    return new_host(world.place.home / "triton-user", world.store, box, **variables)


@pytest.fixture(autouse=True)
def asked_nobody(host: Host, moved_hub: TestHub) -> Iterator[None]:
    yield
    assert moved_hub.requests == ()
    assert host.sandbox.attempts() == 0


def test_vllm_generates_in_the_default_mode(world: World, host: Host) -> None:
    with_vllm = Host(
        home=host.home,
        store=host.store,
        sandbox=host.sandbox,
        variables={**host.variables, "HF_PACK_TEST_ENGINE": "vllm"},
    )
    with serving(with_vllm, [world.store_path("dual-linked")], "triton", QUIET) as server:
        assert triton_text(server, "dual_linked", PROMPT, TOKENS).split() == world.said.text.split()


@pytest.mark.parametrize("name", ["dual-self-contained", "single-self-contained"])
def test_the_default_mode(name: str, world: World, host: Host) -> None:
    with serving(host, [world.store_path(name)], "triton", QUIET) as server:
        assert triton_text(server, name.replace("-", "_"), PROMPT, TOKENS).split() == world.said.text.split()


def test_several_packages(world: World, host: Host) -> None:
    """Two with a cache of the Hub and one without, one of them with other engine parameters."""
    names = ["other-engine", "other", "single-linked"]
    with serving(host, [world.store_path(name) for name in names], "triton", QUIET) as server:
        for name in names:
            assert triton_text(server, name.replace("-", "_"), PROMPT, TOKENS).split() == world.said.text.split()
        assert "max_model_len=64" in server.log.read_text()


def tritonserver(host: Host, world: World, repository: Path, port: int, *more: str) -> list[str]:
    """The server as somebody starts it who has only the environment that ``env`` prints."""
    hub = world.share("dual-linked") / "models" / "hub"
    variables = [f"HF_HUB_CACHE={hub}", "HF_HUB_OFFLINE=1"]
    address = [f"--http-port={port}", f"--grpc-port={port + 1}", QUIET, "--http-address=127.0.0.1"]
    return ["env", *variables, "tritonserver", f"--model-repository={repository}", *address, *more]


def test_explicit_mode(world: World, host: Host) -> None:
    repository = world.share("dual-linked") / "triton"
    modes = ("--model-control-mode=explicit",)
    with started(host, "triton", lambda port: tritonserver(host, world, repository, port, *modes)) as server:
        assert server.status("/v2/models/dual_linked/ready") != 200
        server.post("/v2/repository/models/dual_linked/load", {})
        assert triton_text(server, "dual_linked", PROMPT, TOKENS).split() == world.said.text.split()
        server.post("/v2/repository/models/dual_linked/unload", {})


def test_a_model_without_a_version_is_not_loaded(world: World, host: Host) -> None:
    """Why there is ``share/triton``: what runtimes of the README assemble has no ``1/``, and ``hub/`` is no model."""
    repository = world.share("dual-linked") / "models"
    with (
        pytest.raises(AssertionError, match="triton ended with 1"),
        started(host, "triton", lambda port: tritonserver(host, world, repository, port)),
    ):
        pass
    newest = max(host.home.glob("triton-*.log"), key=lambda log: log.stat().st_mtime_ns).read_text()
    assert "at least one version must be available under the version policy of model 'dual_linked'" in newest
    assert "Invalid model name: Could not determine backend" in newest
