"""Eight processes at once on one store build, collect, verify and pull: nothing that anybody keeps is lost."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.embedded_stores import NEEDS_NIX, assert_sound, nix_lines, store_entries
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

pytestmark = NEEDS_NIX

PROCESSES = 8
ROUNDS = int(os.environ.get("HF_PACK_MIXED_ROUNDS", "2"))
NAMES = tuple(f"m{number}" for number in range(4))


def _workspace(home: Path, number: int) -> Place:
    """A person's own home and workspace; they share weights, and one store lies beside them."""
    place = new_place(home / f"user-{number}")
    for index, name in enumerate(NAMES):
        shared = tiny_model(seed=index)["model.safetensors"]
        files = tiny_model(shards=2, seed=index, extra={"shared.safetensors": shared})
        source = home / f"hub-{name}"
        if not source.exists():
            write_hf_cache(source, REPO_ID, COMMIT, files)
        place.add(source, name, storage=STORAGES[index % 2])
    return place


def test_nothing_is_lost(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    users = [_workspace(tmp_path, number) for number in range(3)]
    cache = f"file://{tmp_path}/cache"
    for name in NAMES:
        users[0].build(name)
        users[0].run("publish", name, "--to", cache)
    store = users[0].store
    for user in users[1:]:
        subprocess.run(["chmod", "-R", "u+w", user.store], check=True)
        shutil.rmtree(user.store)

    def run(arguments: tuple[str, ...], user: Place) -> tuple[int, str]:
        done = subprocess.run(
            user.command(*arguments, "--store", str(store)),
            cwd=user.workspace,
            env=user.environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, f"{arguments}: {done.stdout}{done.stderr}"

    chance = random.Random(8)  # the same mix every time
    ran = 0
    for _ in range(ROUNDS):
        jobs: list[tuple[tuple[str, ...], Place]] = [
            (("gc",), users[0]),
            (("gc",), users[1]),
            (("build", chance.choice(NAMES)), users[0]),
            (("build", chance.choice(NAMES)), users[1]),
            (("build", chance.choice(NAMES)), users[2]),
            (("verify", "--all", "--quick"), users[1]),
            (("pull", chance.choice(NAMES), "--from", cache), users[2]),
            (("pull", chance.choice(NAMES), "--from", cache), users[0]),
        ]
        # What nobody keeps any more, for the collectors.
        for user in users:
            (user.workspace / f"result-{chance.choice(NAMES)}").unlink(missing_ok=True)
        with ThreadPoolExecutor(PROCESSES) as pool:
            ended = list(pool.map(lambda job: run(*job), jobs))
        ran += len(jobs)
        for (arguments, user), (code, said) in zip(jobs, ended, strict=True):
            assert "Traceback" not in said, said
            assert code == 0, said
            if arguments[0] == "build":
                assert (user.workspace / f"result-{arguments[1]}" / "share").is_dir(), said
        assert_sound(store)
        for user in users:
            if kept := [link.name.removeprefix("result-") for link in user.workspace.glob("result-*")]:
                code, said = run(("verify", *kept), user)
                assert code == 0, said
    record_property("tried", f"{ran} commands by {PROCESSES} processes at once on one store, nothing lost")
    assert run(("gc",), users[0])[0] == 0
    live = {path.removeprefix("/nix/store/") for path in nix_lines(store, "--gc", "--print-live")}
    assert store_entries(store) == live
    assert_sound(store)
