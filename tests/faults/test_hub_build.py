"""A build from the Hub while all goes wrong: the right store path or a clear error, never wrong bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import assert_sound
from tests.from_hub import HubPlace, Ran, hub_place
from tests.hub import TestHub
from tests.models import safetensors, shard_index, tiny_model

from hf_pack.adapters.hub import settings
from hf_pack.adapters.hub.limits import Limits

REPO = "acme/tiny-llm"
VALUES = 60_000
SHARDS = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
WEIGHTS = {
    name: safetensors({f"layer.{number}": ("BF16", (VALUES,))}, seed=number) for number, name in enumerate(SHARDS)
}
FILES = {
    **{path: data for path, data in tiny_model().items() if path != "model.safetensors"},
    **WEIGHTS,
    "model.safetensors.index.json": shard_index({f"layer.{number}": name for number, name in enumerate(SHARDS)}),
}
SIZE = len(WEIGHTS[SHARDS[0]])

ONE, ALL = SHARDS[1], "*.safetensors"
PLACES = {"start": 0, "middle": SIZE // 2, "last": -1}
AT_A_BYTE = [
    (f"{kind}-{place}", kind, {"at": at})
    for kind in ("reset", "drop", "short", "corrupt", "stall")
    for place, at in PLACES.items()
]
OF_AN_ANSWER: list[tuple[str, str, dict[str, Any]]] = [
    ("429", "status", {"status": 429, "retry_after": 0}),
    ("503", "status", {"status": 503, "retry_after": 0}),
    ("500", "status", {"status": 500}),
    ("expired", "expired", {}),
    ("too-long", "wrong-length", {"length": SIZE + 5}),
    ("too-short", "wrong-length", {"length": 7}),
    ("ignore-range", "ignore-range", {}),
    ("moved", "moved", {"files": {SHARDS[0]: b"another", "config.json": b"{}"}}),
    ("resolve-503", "status", {"status": 503, "stage": "resolve", "method": "*"}),
    ("resolve-429", "status", {"status": 429, "retry_after": 0, "stage": "resolve", "method": "*"}),
    ("resolve-hang", "hang", {"stage": "resolve", "method": "*"}),
]
FAULTS = [pytest.param(kind, fields, id=name) for name, kind, fields in (*AT_A_BYTE, *OF_AN_ANSWER)]
HARMLESS = ("ignore-range", "moved")  # a range is read from the start; a commit does not move


@pytest.fixture(scope="module")
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        yield hub


@pytest.fixture(scope="module")
def locked(hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> HubPlace:
    """The package, locked and not built."""
    place = hub_place(tmp_path_factory.mktemp("locked"), hub)
    place.done("add", REPO, "--revision", hub.repo(REPO).main)
    return place


@pytest.fixture
def place(hub: TestHub, locked: HubPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubPlace:
    """A machine of its own with the lock."""
    impatient = Limits(stall_seconds=0.3, connect_seconds=2.0, backoff_seconds=0.002, attempts=4)
    monkeypatch.setattr(settings, "client_limits", lambda: impatient)
    hub.faults.clear()
    hub.reset()
    return machine_with(locked, tmp_path / "user")


def machine_with(locked: HubPlace, home: Path) -> HubPlace:
    place = HubPlace(home, locked.endpoint)
    shutil.copytree(locked.workspace, place.workspace, symlinks=True)
    return place


def assert_right(place: HubPlace, built: Ran) -> None:
    assert built.code == 0, built.err
    assert built.out == f"{place.store_path()}\n"
    place.done("verify", "tiny-llm")
    for name, data in WEIGHTS.items():
        (found,) = (place.workspace / "result-tiny-llm").glob(f"share/models/hub/*/snapshots/*/{name}")
        assert found.read_bytes() == data
    assert_nothing_wrong(place)


def assert_nothing_wrong(place: HubPlace) -> None:
    """Every object in the store is what its name says."""
    objects = place.store / "nix/store"
    seen = [path for path in objects.glob("*") if path.name.endswith(".safetensors")] if objects.exists() else []
    for path in seen:
        assert path.read_bytes() == WEIGHTS[path.name[33:]], path


@pytest.mark.parametrize("target", [ONE, ALL], ids=["one", "all"])
@pytest.mark.parametrize(("kind", "fields"), FAULTS)
def test_what_passes_is_passed_over(
    hub: TestHub, place: HubPlace, kind: Any, fields: dict[str, Any], target: str
) -> None:
    hub.fault(kind, target, **fields)
    assert_right(place, place.ran("build", "tiny-llm"))
    if target == ALL and shutil.which("nix-store"):
        assert_sound(place.store)
    assert [request for request in hub.requests if request.fault]
    assert not hub.leaks


@pytest.mark.parametrize("target", [ONE, ALL], ids=["one", "all"])
@pytest.mark.parametrize(("kind", "fields"), FAULTS)
def test_what_stays_is_a_clear_error(
    hub: TestHub, place: HubPlace, kind: Any, fields: dict[str, Any], target: str
) -> None:
    hub.fault(kind, target, **{"times": None, **fields})
    ran = place.ran("build", "tiny-llm")
    if kind in HARMLESS:
        assert_right(place, ran)
        return
    assert (ran.code, ran.out) == (5 if kind == "corrupt" else 4, "")
    lines = ran.err.splitlines()
    spoiled = [ONE] if target == ONE else SHARDS
    assert lines[0].startswith(f"error: {len(spoiled)} of 3 files could not be fetched")
    assert [name for name in SHARDS if f"  {name}: {SIZE} bytes" in lines] == spoiled
    assert lines[-1].startswith("hint: ")
    assert not (place.workspace / "result-tiny-llm").exists()
    assert_nothing_wrong(place)
    if target == ONE and shutil.which("nix-store"):
        assert_sound(place.store)
    blobs = place.done("plan", "tiny-llm", "--json").document["blobs"]
    present = {blob["store_path"][44:] for blob in blobs if blob["present"]}
    assert present == set(SHARDS) - set(spoiled)  # the others arrived all the same
    hub.faults.clear()
    hub.reset()
    assert_right(place, place.ran("build", "tiny-llm"))
    assert not any(hub.bytes_by_file[name] for name in present)


def test_wrong_bytes_are_fetched_anew_and_said_for_ever(hub: TestHub, place: HubPlace) -> None:
    hub.fault("corrupt", ONE, at=-1)
    place.done("build", "tiny-llm")
    assert hub.bytes_by_file[ONE] == 2 * SIZE


def test_a_file_of_many_parts(hub: TestHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 64 MiB a file comes by several connections at once; each of them fails in its own way."""
    monkeypatch.setattr(settings, "client_limits", lambda: Limits(stall_seconds=0.5, backoff_seconds=0.002))
    large = safetensors({"layer": ("BF16", (36 << 20,))})
    hub.faults.clear()
    hub.add_repo("acme/large", {**tiny_model(), "model.safetensors": large})
    place = hub_place(tmp_path / "user", hub)
    place.done("add", "acme/large")
    hub.reset()
    for kind, at in (("reset", 5 << 20), ("drop", 40 << 20), ("stall", 70 << 20), ("reset", -1), ("expired", 0)):
        hub.fault(kind, "model.safetensors", at=at)  # type: ignore[arg-type]
    built = place.done("build", "large", "--json").document[0]
    assert built["store_path"] == place.store_path("large")
    place.done("verify", "large")
    assert len([request for request in hub.requests if request.fault]) == 5
    assert hub.bytes_by_file["model.safetensors"] < len(large) + 5 * (16 << 20)  # what was in a socket when it broke


def test_a_commit_that_is_gone(hub: TestHub, place: HubPlace, locked: HubPlace) -> None:
    """A branch that was rewritten: the Hub no longer knows the commit of the lock."""
    repo = hub.repo(REPO)
    commit = place.lock()["source"]["snapshot_id"]
    kept = repo.commits[commit]
    repo.branches["main"] = repo.commit({"README.md": b"# Rewritten\n"}, branch="new")
    del repo.commits[commit]
    try:
        ran = place.ran("build", "tiny-llm")
    finally:
        repo.commits[commit] = kept
    assert ran.code == 4
    assert "the model has no such revision" in ran.err and commit in ran.err


def test_a_hub_that_is_not_there(place: HubPlace) -> None:
    ran = HubPlace(place.home, "http://127.0.0.1:9").ran("build", "tiny-llm")
    assert ran.code == 4
    assert "http://127.0.0.1:9 refuses connections" in ran.err and "HF_ENDPOINT" in ran.err
