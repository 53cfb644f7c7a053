"""A command that is killed at any moment leaves a sound store and whole files, and ends right when it is run again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix_lines, store_entries
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack import api

pytestmark = NEEDS_NIX

KILL_AT = Path(__file__).parent / "scripts" / "kill_at.py"
MOMENTS = 12
NAME = "tiny"


class Killer:
    """Runs one command in copies of a place, each time killed at another of its changes to the disk."""

    def __init__(self, before: Place, *arguments: str) -> None:
        self.before, self.arguments = before, arguments
        whole = self.copy("whole")
        counter = whole.home / "changes"
        assert self._run(whole, 0, counter) == 0
        self.changes = int(counter.read_text())
        assert self.changes > 60  # three shards, the database, a dozen small files, each opened, synced and renamed

    def copy(self, name: str) -> Place:
        """The place as it is before the command."""
        home = self.before.home.with_name(name)
        subprocess.run(["cp", "-a", self.before.home, home], check=True)
        return Place(home)

    def killed(self) -> Iterator[Place]:
        """Places in which the command was killed, from its first change to its last."""
        for index in range(MOMENTS):
            moment = 1 + index * (self.changes - 1) // (MOMENTS - 1)
            place = self.copy(f"killed-at-{moment}-of-{self.changes}")
            assert self._run(place, moment, place.home / "never") == -signal.SIGKILL
            yield place
            subprocess.run(["chmod", "-R", "u+w", place.home], check=True)
            shutil.rmtree(place.home)

    def _run(self, place: Place, moment: int, counter: Path) -> int:
        process = place.start(*self.arguments, wrapper=[str(KILL_AT), str(moment), str(counter)])
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        return process.returncode


def _assert_nothing_half_made(place: Place) -> None:
    """What the database, the workspace and the roots show is whole."""
    valid = set()
    if (place.store / "nix/var/nix/db/schema").exists():
        assert_sound(place.store)
        valid = set(nix_lines(place.store, "--gc", "--print-live"))
    result = place.workspace / f"result-{NAME}"
    if result.is_symlink():
        assert f"/nix/store/{result.readlink().name}" in valid | set(nix_lines(place.store, "--gc", "--print-dead"))
    if (place.workspace / "models" / f"{NAME}.toml").exists():
        # A manifest is the last thing that `add` writes: with it, everything else is there.
        api.plan(NAME, workspace=place.workspace)


def _assert_ended_right(place: Place) -> None:
    assert_sound(place.store)
    api.collect_garbage(store=str(place.store))
    entries = {path.removeprefix("/nix/store/") for path in nix_lines(place.store, "--gc", "--print-live")}
    assert store_entries(place.store) == entries
    assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = tiny_model(shards=3, extra={"chat/a.json": b"{}"})
    return write_hf_cache(tmp_path_factory.mktemp("source"), REPO_ID, COMMIT, files)


def test_add(tmp_path: Path, source: Path) -> None:
    before = new_place(tmp_path / "before")
    killer = Killer(before, "add", str(source), "--name", NAME, "--layout", "dual")
    expected = Place(tmp_path / "whole").json("plan", NAME)["store_path"]
    for place in killer.killed():
        _assert_nothing_half_made(place)
        if not (place.workspace / "models" / f"{NAME}.toml").exists():
            place.run(*killer.arguments)
        assert place.build(NAME).store_path == expected
        _assert_ended_right(place)


@pytest.mark.parametrize("storage", STORAGES)
def test_build(tmp_path: Path, source: Path, storage: str) -> None:
    before = new_place(tmp_path / "before")
    before.add(source, NAME, storage=storage)
    # The blobs are gone, so that the build brings them again.
    subprocess.run(["chmod", "-R", "u+w", before.store], check=True)
    shutil.rmtree(before.store)
    killer = Killer(before, "build", NAME)
    expected = Place(tmp_path / "whole").json("plan", NAME)["store_path"]
    for place in killer.killed():
        _assert_nothing_half_made(place)
        assert place.build(NAME).store_path == expected
        _assert_ended_right(place)
