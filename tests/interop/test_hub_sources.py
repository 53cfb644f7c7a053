"""A lock on another machine: where its blobs come from, in which order, and what is said when they are nowhere."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.embedded_stores import assert_sound, nix
from tests.end_to_end import fingerprint
from tests.from_hub import HubPlace, hub_place
from tests.hub import TestHub
from tests.hub.clients import Client
from tests.models import safetensors, shard_index, tiny_model, write_hf_cache

pytestmark = pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="needs huggingface_hub")

REPO = "acme/tiny-llm"
SHARDS = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
WEIGHTS = {name: safetensors({name: ("BF16", (50_000,))}, seed=number) for number, name in enumerate(SHARDS)}
FILES = {
    **{path: data for path, data in tiny_model().items() if path != "model.safetensors"},
    **WEIGHTS,
    "model.safetensors.index.json": shard_index({name: name for name in SHARDS}),
}


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        hub.add_repo(REPO, FILES)
        yield hub
        assert not hub.leaks


@pytest.fixture
def first(hub: TestHub, tmp_path: Path) -> HubPlace:
    """The machine that locked and built."""
    place = hub_place(tmp_path / "first", hub)
    place.done("add", REPO)
    place.done("build", "tiny-llm")
    hub.reset()
    return place


@pytest.fixture
def second(first: HubPlace, tmp_path: Path) -> HubPlace:
    """Another one, with the files that git tracks and nothing else."""
    place = HubPlace(tmp_path / "second", first.endpoint)
    shutil.copytree(first.workspace, place.workspace, ignore=shutil.ignore_patterns("result-*", "*.record"))
    return place


def commit_of(place: HubPlace) -> str:
    return str(place.lock()["source"]["snapshot_id"])


def blobs_of(place: HubPlace) -> list[str]:
    return [blob["store_path"] for blob in place.done("plan", "tiny-llm", "--json").document["blobs"]]


def assert_same(place: HubPlace, first: HubPlace, *arguments: str) -> str:
    """It builds what the first machine built; what was said meanwhile."""
    ran = place.done("build", "tiny-llm", *arguments)
    assert ran.out == f"{first.store_path()}\n"
    place.done("verify", "tiny-llm")
    return ran.err


def test_another_root_builds_the_same(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    assert_same(second, first)
    assert all(hub.bytes_by_file[name] == len(data) for name, data in WEIGHTS.items())
    assert not [request for request in hub.requests if request.stage == "api" and "/revision/" in request.path]
    record = (second.workspace / "models/tiny-llm.record").read_bytes()
    assert record == (first.workspace / "models/tiny-llm.record").read_bytes()


def test_offline_says_what_is_nowhere(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    for ran in (second.ran("build", "tiny-llm", "--offline"), second.ran("build", "tiny-llm", HF_HUB_OFFLINE="1")):
        assert (ran.code, ran.out) == (4, "")
        assert ran.err.startswith("error: 3 files are not on this machine")
        for path, store_path in zip(SHARDS, blobs_of(second), strict=True):
            assert f"  {path}: {len(WEIGHTS[path])} bytes, {store_path}\n" in ran.err
        assert "--offline" in ran.err
    write_hf_cache(second.cache, REPO, commit_of(first), {SHARDS[0]: WEIGHTS[SHARDS[0]]})
    ran = second.ran("build", "tiny-llm", "--offline")
    assert ran.err.startswith("error: 2 files are not on this machine") and SHARDS[0] not in ran.err
    assert hub.requests == ()


@pytest.mark.nix
@pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")
def test_offline_from_blobs_that_nix_brought(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    nix(second.store, "copy", "--no-check-sigs", "--from", str(first.store), *blobs_of(first), program="nix")
    assert_same(second, first, "--offline")
    assert hub.requests == ()
    assert_sound(second.store)


def test_the_hubs_own_cache_comes_first_and_is_never_written(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    client = Client(endpoint=hub.endpoint, home=second.home)
    done = client.hf("download", REPO)
    assert done.returncode == 0, done.stderr
    before = fingerprint(second.home / "hf")
    hub.reset()
    assert_same(second, first)
    assert hub.requests == ()
    assert fingerprint(second.home / "hf") == before


def test_wrong_bytes_in_the_hubs_own_cache(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    wrong = bytearray(WEIGHTS[SHARDS[1]])
    wrong[-1] ^= 1
    repo = write_hf_cache(second.cache, REPO, commit_of(first), FILES)
    (repo / "snapshots" / commit_of(first) / SHARDS[1]).resolve().write_bytes(wrong)
    before = fingerprint(second.home / "hf")
    offline = second.ran("build", "tiny-llm", "--offline")
    assert offline.code == 4 and "1 file is not on this machine" in offline.err and SHARDS[1] in offline.err
    said = assert_same(second, first)
    assert f"has other bytes under the name of {SHARDS[1]}; left alone" in said
    assert hub.bytes_by_file == {SHARDS[1]: len(wrong)}
    assert fingerprint(second.home / "hf") == before


def test_another_store_of_this_machine(hub: TestHub, first: HubPlace, tmp_path: Path) -> None:
    hub.reset()
    assert_same(first, first, "--store", str(tmp_path / "shared"))
    assert hub.requests == ()


def use(place: HubPlace, line: str) -> None:
    settings = place.workspace / "hf-pack.toml"
    settings.write_text(f"{line}\n{settings.read_text()}")


@pytest.fixture
def cache(first: HubPlace, tmp_path: Path) -> Path:
    """A binary cache that real Nix wrote."""
    cache = tmp_path / "cache"
    nix(first.store, "copy", "--to", f"file://{cache}?compression=none", *blobs_of(first), program="nix")
    return cache


@pytest.mark.nix
@pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")
def test_a_binary_cache_comes_before_the_hub(hub: TestHub, first: HubPlace, second: HubPlace, cache: Path) -> None:
    use(second, f'caches = ["file://{cache}"]')
    assert_same(second, first)
    assert hub.requests == ()


@pytest.mark.nix
@pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")
@pytest.mark.parametrize("damage", ["other bytes", "cut", "gone"])
def test_a_damaged_binary_cache_is_passed_over(
    hub: TestHub, first: HubPlace, second: HubPlace, cache: Path, damage: str
) -> None:
    use(second, f'caches = ["file://{cache}", "file://{cache}/nowhere"]')
    for nar in (cache / "nar").iterdir():
        data = bytearray(nar.read_bytes())
        if damage == "other bytes":
            data[len(data) // 2] ^= 1
        nar.write_bytes(data[:500] if damage == "cut" else data)
        if damage == "gone":
            nar.unlink()
    assert_same(second, first)
    # Of a file that was cut, what came before is kept until it proves wrong.
    assert all(hub.bytes_by_file[name] <= len(data) for name, data in WEIGHTS.items())
    assert_sound(second.store)


def test_a_mirror_comes_before_the_hub_and_gets_no_token(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    with TestHub() as mirror, TestHub() as empty:
        mirror.add_repo(REPO, FILES)
        mirror.fault("corrupt", SHARDS[0], at=-1, times=None)
        use(second, f'mirrors = ["{empty.endpoint}", "{mirror.endpoint}"]')
        machine = HubPlace(second.home, hub.endpoint, hub.token)
        assert_same(machine, first)
        assert empty.requests and not [one for one in (*empty.requests, *mirror.requests) if one.authorization]
        assert all(mirror.bytes_by_file[name] == len(WEIGHTS[name]) for name in SHARDS[1:])
        assert hub.bytes_by_file == {SHARDS[0]: len(WEIGHTS[SHARDS[0]])}
        assert {request.bearer for request in hub.requests if request.origin == "hub"} == {"hub"}


def test_every_place_that_refused_is_named(hub: TestHub, first: HubPlace, second: HubPlace) -> None:
    with TestHub() as mirror:
        use(second, f'mirrors = ["{mirror.endpoint}"]\ncaches = ["file://{second.home}/nothing"]')
        hub.repo(REPO).private = True
        ran = second.ran("build", "tiny-llm")
    assert ran.code == 4
    for place in (
        f"file://{second.home}/nothing: does not have it",
        f"{mirror.endpoint}, by HTTP: the Hub has no such",
    ):
        assert place in ran.err, ran.err
    assert f"{hub.endpoint}, by HTTP: the Hub has no such model, or it is private" in ran.err
