"""One world of packages for all end-to-end tests, and for each module one host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.environments import missing
from tests.e2e.packages import OTHER_REPO_ID, REPO_ID, World, make_world
from tests.e2e.sandbox import Sandbox, sandbox
from tests.end_to_end import fingerprint, new_place, open_directory
from tests.hub import TestHub
from tests.models import tiny_model


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    reason = missing("vllm")
    if reason is not None:
        pytest.skip(reason)
    with open_directory() as home:
        made = make_world(new_place(home))
        subprocess.run(["chmod", "-R", "a-w", made.store], check=True)
        yield made


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def moved_hub(box: Sandbox) -> Iterator[TestHub]:
    """Inside the sandbox: one whose ``main`` has other weights than the packages. It records who asks."""
    hub = box.inside(TestHub)
    with hub:
        for repo_id in (REPO_ID, OTHER_REPO_ID):
            hub.add_repo(repo_id, tiny_model())
        yield hub


@pytest.fixture(scope="module")
def gone_hub(box: Sandbox) -> Iterator[TestHub]:
    """Inside the sandbox: one that has no repository any more."""
    hub = box.inside(TestHub)
    with hub:
        yield hub


@pytest.fixture(scope="module")
def store(world: World) -> Path:
    """The store that a module serves from."""
    return world.store


@pytest.fixture(autouse=True, scope="module")
def untouched(store: Path) -> Iterator[None]:
    """Whatever a module does, no byte, mode or time in the store changes."""
    before = fingerprint(store)
    yield
    assert fingerprint(store) == before
