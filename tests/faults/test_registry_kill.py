"""A publish to a registry or a pull from it that is killed at any moment: the next one ends it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end import Built, Place, new_place
from tests.models import safetensors, tiny_model
from tests.registries import NEEDS_REGISTRY, Server, registry

pytestmark = NEEDS_REGISTRY

SCRIPTS = Path(__file__).parent / "scripts"
MOMENTS = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Built]:
    place = new_place(tmp_path_factory.mktemp("place") / "home")
    extra = {f"part-{n}.safetensors": safetensors({"w": ("U8", (9_000_000,))}, seed=n) for n in range(3)}
    return place, place.package({**tiny_model(), **extra}, "tiny")


def _run(place: Place, script: str, moment: int, *arguments: str | Path) -> int:
    """The number of moments for moment 0; else the process was killed."""
    counter = place.home / "count"
    process = place.start(*arguments, wrapper=[str(SCRIPTS / script), str(moment), str(counter)])
    _, errors = process.communicate()
    assert process.returncode == (-signal.SIGKILL if moment else 0), errors
    return 0 if moment else int(counter.read_text())


def _moments(number: int) -> Iterator[int]:
    return (1 + index * (number - 1) // (MOMENTS - 1) for index in range(MOMENTS))


def _forget(place: Place) -> None:
    """Nothing is known of other repositories, from which blobs would be taken."""
    shutil.rmtree(place.home / ".cache", ignore_errors=True)


def _there(server: Server, repository: str) -> int:
    """Bytes of the blobs that a repository of the registry has."""
    root = server.directory / "docker" / "registry" / "v2" / "repositories" / repository / "_layers" / "sha256"
    return sum(server.blob(link.parent.name).stat().st_size for link in root.glob("*/link"))


def test_publish(packed: tuple[Place, Built], server: Server, tmp_path: Path) -> None:
    place, built = packed
    _forget(place)
    number = _run(place, "kill_at_request.py", 0, "publish", "tiny", "--to", server.url("whole"))
    for moment in _moments(number):
        _forget(place)
        repository = f"killed-{moment}"
        _run(place, "kill_at_request.py", moment, "publish", "tiny", "--to", server.url(repository))
        there = _there(server, repository)
        (published,) = place.json("publish", "tiny", "--to", server.url(repository))
        assert published["bytes_sent"] <= published["bytes_total"] - there
        assert published["bytes_total"] == _there(server, repository)
    (pulled,) = place.json("pull", "--from", server.url("killed-1", published["tag"]), "--store", tmp_path)["packages"]
    assert pulled["nar_hash"] == built.nar_hash


@pytest.mark.parametrize("shape", ["modelpack", "image"])
def test_pull(packed: tuple[Place, Built], server: Server, tmp_path: Path, shape: str) -> None:
    place, built = packed
    (published,) = place.json("publish", "tiny", "--to", server.url(f"pull-{shape}"), "--as", shape)
    address = server.url(f"pull-{shape}", published["tag"])
    number = _run(place, "kill_at.py", 0, "pull", "--from", address, "--store", tmp_path / "whole")
    for moment in _moments(number * 3 // 4):  # how often the database is written differs from run to run
        store = tmp_path / f"killed-{moment}"
        _run(place, "kill_at.py", moment, "pull", "--from", address, "--store", store)
        place.run("pull", "--from", address, "--store", store)
        assert place.json("verify", built.store_path, "--store", store)["ok"] is True
