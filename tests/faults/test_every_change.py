"""Build, publish, pull and gc in which something happens at any change to the disk, of any thread and of SQLite: the
command is killed, or the disk refuses. What is visible is whole, real Nix finds the store sound, and the next run ends
right.

Tried are a few changes of each command; `HF_PACK_FAULT_STRIDE=1` tries every one.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix_lines, store_entries
from tests.end_to_end import Place, new_place
from tests.faults.failing import FAULTS, KILL, Driver, Ended, Fault, driver, kept, points, restore
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo

pytestmark = NEEDS_NIX

NAME = "tiny"


@dataclass(frozen=True)
class Scenario:
    """A command in a place, and what holds whatever happened to it."""

    place: Place
    arguments: tuple[str, ...]
    ended_right: Callable[[Place], None]


def empty_store(place: Place) -> None:
    subprocess.run(["chmod", "-R", "u+w", place.store], check=True)
    shutil.rmtree(place.store)


def cache_of(place: Place) -> Path:
    return place.home / "cache"


def assert_nothing_dangles(cache: Path) -> None:
    """Each narinfo leads to a whole NAR, and to narinfos of all that it refers to."""
    for path in cache.glob("*.narinfo"):
        info = NarInfo.parse(path.read_text())
        assert Hash.sha256_of((cache / info.url).read_bytes()) == info.file_hash
        assert all((cache / f"{reference.digest}.narinfo").exists() for reference in info.references)


def assert_nothing_half_made(place: Place) -> None:
    if (place.store / "nix/var/nix/db/schema").exists():
        assert_sound(place.store)
    assert_nothing_dangles(cache_of(place))


def holds(*names: str) -> Callable[[Place], None]:
    """The store holds objects of these names, all of them rooted, and nothing else."""

    def check(place: Place) -> None:
        entries = store_entries(place.store)
        assert sorted(entry[33:] for entry in entries) == sorted(names)
        assert {f"/nix/store/{entry}" for entry in entries} == set(nix_lines(place.store, "--gc", "--print-live"))
        assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []

    return check


def _tree(name: str) -> str:
    return f"{name}-1.0.0+0000000"


def _prepare(home: Path, storage: str = "linked") -> Place:
    place = new_place(home)
    files = tiny_model(shards=2, extra={"chat/a.json": b"{}"})
    place.add(write_hf_cache(home.parent / "hub", REPO_ID, COMMIT, files), NAME, storage=storage)
    return place


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def build(home: Path, storage: str) -> Scenario:
    place = _prepare(home, storage)
    empty_store(place)

    def ended_right(place: Place) -> None:
        # A self-contained tree's blobs are the lock's: what was built needs them no more.
        holds(_tree(NAME), *SHARDS)(place)

    return Scenario(place, ("build", NAME), ended_right)


def publish(home: Path) -> Scenario:
    place = _prepare(home)
    place.build(NAME)

    def ended_right(place: Place) -> None:
        holds(_tree(NAME), *SHARDS)(place)
        assert len(list(cache_of(place).glob("*.narinfo"))) == 3
        assert list(cache_of(place).glob(".hf-pack-staging/*")) == []
        assert place.run("search", "--from", f"file://{cache_of(place)}").startswith(f"{NAME}@")

    return Scenario(place, ("publish", NAME, "--to", f"file://{cache_of(place)}"), ended_right)


def pull(home: Path) -> Scenario:
    place = _prepare(home)
    place.build(NAME)
    place.run("publish", NAME, "--to", f"file://{cache_of(place)}")
    empty_store(place)
    (place.workspace / f"result-{NAME}").unlink()
    return Scenario(place, ("pull", NAME, "--from", f"file://{cache_of(place)}"), holds(_tree(NAME), *SHARDS))


def gc(home: Path) -> Scenario:
    place = _prepare(home)
    place.build(NAME)
    files = tiny_model(shards=3, seed=5)
    place.add(write_hf_cache(home.parent / "other", REPO_ID, COMMIT, files), "other", storage="self-contained")
    place.build("other")
    (place.workspace / "result-other").unlink()
    shutil.rmtree(place.workspace / "models" / "other.files")
    for suffix in ("toml", "lock", "record"):
        (place.workspace / "models" / f"other.{suffix}").unlink()
    return Scenario(place, ("gc",), holds(_tree(NAME), *SHARDS))


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "build": lambda home: build(home, "linked"),
    "build, self-contained": lambda home: build(home, "self-contained"),
    "publish": publish,
    "pull": pull,
    "gc": gc,
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    return SCENARIOS[request.param](tmp_path / "place")


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as commands:
        yield commands


def whole(commands: Driver, scenario: Scenario) -> int:
    """The number of changes when nothing happens."""
    ended = commands.run(scenario.place, scenario.arguments)
    assert ended.code == 0, ended
    finish(commands, scenario)
    assert ended.count > 60  # the database, roots and small files, each opened, written, synced and renamed
    return ended.count


def finish(commands: Driver, scenario: Scenario) -> None:
    """The command once more, and a collection of what the first attempt left."""
    place = scenario.place
    for arguments in (scenario.arguments, ("gc",)):
        again = commands.run(place, arguments)
        assert again.code == 0, again
    assert_sound(place.store)
    assert_nothing_dangles(cache_of(place))
    scenario.ended_right(place)


def attempts(commands: Driver, scenario: Scenario, before: Path, fault: Fault, tried: range) -> Iterator[Ended]:
    """The command with the fault at each of these changes, checked after it."""
    for nth in tried:
        restore(scenario.place, before)
        ended = commands.run(scenario.place, scenario.arguments, nth, fault)
        try:
            yield ended
            assert_nothing_half_made(scenario.place)
            finish(commands, scenario)
        except AssertionError as error:
            raise AssertionError(f"{fault.name} at change {nth}, {ended.at}: {ended}") from error


def test_killed(
    scenario: Scenario, commands: Driver, record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> None:
    before = kept(scenario.place)
    changes, killed = whole(commands, scenario), 0
    for ended in attempts(commands, scenario, before, KILL, points(changes, 10)):
        if ended.code == -signal.SIGKILL:
            killed += 1
        else:
            assert ended.code == 0, ended  # this run made fewer changes than the first
    record_property("tried", f"{request.node.callspec.id}: killed at {killed} of {changes} changes to the disk")
    assert killed > 5


def test_refused(
    scenario: Scenario, commands: Driver, record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> None:
    before = kept(scenario.place)
    changes = whole(commands, scenario)
    for number, fault in enumerate(FAULTS):
        refused = survived = 0
        for ended in attempts(commands, scenario, before, fault, points(changes, 3, number)):
            assert "Traceback" not in ended.err, ended.err
            if ended.code == 0:
                survived += 1
            else:
                refused += 1
                assert ended.code in (2, 4, 6), ended  # the workspace, a cache, the store
                assert any(line.startswith("error: ") for line in ended.err.splitlines()), ended
        said = f"{request.node.callspec.id}, {fault.name}: {refused} clear errors, {survived} successes"
        record_property("tried", f"{said} of {changes} changes")
        assert refused > 0
