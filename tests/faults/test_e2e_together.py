"""Commands that run at once on one store and workspace, beside each other and beside Nix's collector."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix, nix_lines, store_entries
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

pytestmark = NEEDS_NIX


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


def _source(place: Place, number: int) -> Path:
    files = tiny_model(shards=2, seed=10 * number, extra={"shared.safetensors": tiny_model()["model.safetensors"]})
    return write_hf_cache(place.home / f"cache-{number}", REPO_ID, COMMIT, files)


def _forget_store(place: Place) -> None:
    subprocess.run(["chmod", "-R", "u+w", place.store], check=True)
    shutil.rmtree(place.store)


def _finish(process: subprocess.Popen[str], *codes: int) -> tuple[int, str, str]:
    output, errors = process.communicate()
    assert process.returncode in codes, errors
    return process.returncode, output.strip(), errors


def _assert_clean(place: Place) -> None:
    assert_sound(place.store)
    live = {path.removeprefix("/nix/store/") for path in nix_lines(place.store, "--gc", "--print-live")}
    place.run("gc")
    assert store_entries(place.store) == live
    assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []


@pytest.mark.parametrize("storage", STORAGES)
def test_two_builds_of_one_package(place: Place, storage: str) -> None:
    place.add(_source(place, 0), "tiny", storage=storage)
    _forget_store(place)
    pair = [place.start("build", "tiny") for _ in range(2)]
    paths = {_finish(process, 0)[1] for process in pair}
    assert paths == {place.json("plan", "tiny")["store_path"]}
    _assert_clean(place)


def test_two_builds_of_different_packages(place: Place) -> None:
    for number in range(2):
        place.add(_source(place, number), f"tiny-{number}")
    _forget_store(place)
    pair = [place.start("build", f"tiny-{number}") for number in range(2)]
    for number, process in enumerate(pair):
        assert _finish(process, 0)[1] == place.json("plan", f"tiny-{number}")["store_path"]
    # Four shards, the shared file, two trees.
    assert len(store_entries(place.store)) == 7
    _assert_clean(place)


def test_two_adds_of_one_source(place: Place) -> None:
    source = _source(place, 0)
    pair = [place.start("add", source, "--name", "tiny", "--layout", "dual") for _ in range(2)]
    codes = sorted(_finish(process, 0, 2)[0] for process in pair)
    assert codes in ([0, 0], [0, 2])  # who comes late finds the name taken
    assert place.build("tiny").store_path == place.json("plan", "tiny")["store_path"]
    assert {path.name for path in (place.workspace / "models").iterdir()} == {
        "tiny.toml", "tiny.lock", "tiny.record", "tiny.files",
    }  # fmt: skip
    _assert_clean(place)


def test_two_adds_of_one_source_under_two_names(place: Place) -> None:
    source = _source(place, 0)
    pair = [place.start("add", source, "--name", f"tiny-{number}", "--layout", "hf") for number in range(2)]
    for process in pair:
        _finish(process, 0)
    locks = [(place.workspace / "models" / f"tiny-{number}.lock").read_bytes() for number in range(2)]
    assert locks[0] == locks[1]
    assert len(store_entries(place.store)) == 3
    _assert_clean(place)


def test_builds_beside_a_looping_collector(place: Place) -> None:
    number_of_builds = 6
    for number in range(number_of_builds):
        place.add(_source(place, number), f"tiny-{number}")
    _forget_store(place)
    place.run("gc")
    done, collections = threading.Event(), 0

    def collect() -> None:
        nonlocal collections
        while not done.is_set():
            if (place.store / "nix/var/nix/db/schema").exists():
                nix(place.store, "--gc")
                collections += 1

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for first in range(0, number_of_builds, 2):
            pair = [place.start("build", f"tiny-{number}") for number in (first, first + 1)]
            for process in pair:
                _finish(process, 0)
    finally:
        done.set()
        collector.join()
    assert collections > 1
    nix(place.store, "--gc")
    for number in range(number_of_builds):
        place.run("verify", f"tiny-{number}")
    _assert_clean(place)
