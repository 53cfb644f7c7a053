"""One bit that flips, in any object and anywhere in it, is found by verify and named, and repaired from a cache."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound
from tests.end_to_end import STORAGES, Place, new_place
from tests.faults.failing import kept, restore
from tests.models import tiny_model


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A package in the store, the same in a cache, and no source from which it could be mended."""
    place = new_place(tmp_path / "place")
    place.package(tiny_model(shards=2, extra={"chat/a.json": b"{}"}), "tiny", storage=request.param)
    place.run("publish", "tiny", "--to", cache(place))
    for source in place.home.glob("cache-*"):
        shutil.rmtree(source)
    return place


def cache(place: Place) -> str:
    return f"file://{place.home}/cache"


def files(place: Place, tree: Path) -> Iterator[Path]:
    """Every file of the package that has bytes, in whichever object it lies."""
    linked = any(path.is_symlink() for path in tree.rglob("*.safetensors"))
    for path in sorted(place.store.rglob("nix/store/**/*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size and (linked or path.is_relative_to(tree)):
            yield path


def flip(path: Path, bit: int) -> None:
    """In place, with the times set back: nothing but the bytes says it."""
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    path.chmod(status.st_mode)
    subprocess.run(["touch", "-d", f"@{status.st_mtime}", path], check=True)


def report(place: Place, *arguments: str, code: int = 0) -> Any:
    import json

    done = subprocess.run(
        place.command("verify", *arguments, "--json"),
        cwd=place.workspace,
        env=place.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@NEEDS_NIX[0]
@NEEDS_NIX[1]
def test_a_flipped_bit_is_found_named_and_repaired(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(1)
    tree = Path(place.run("path", "tiny").strip())
    store_path = f"/nix/store/{tree.name}"
    damaged = list(files(place, tree))
    sound = {path: path.read_bytes() for path in damaged}
    for path in damaged:
        bit = chance.randrange(8 * path.stat().st_size)
        flip(path, bit)
        found = report(place, "tiny", code=5)
        base_name, *inside = path.relative_to(place.store / "nix" / "store").parts
        named = {(bad["store_path"], bad["path"]) for bad in found["bad"]}
        assert (f"/nix/store/{base_name}", "/".join(inside)) in named, (path, named)
        mended = report(place, store_path, "--repair", "--from", cache(place))
        assert mended["ok"] and len(mended["repaired"]) >= 1
        assert {now: now.read_bytes() for now in sound} == sound
    record_property("tried", f"{len(damaged)} files, one bit flipped in each: all found, named and repaired")
    assert_sound(place.store)


@NEEDS_NIX[0]
@NEEDS_NIX[1]
def test_a_database_with_a_flipped_bit_never_lies(place: Place, record_property: Callable[[str, object], None]) -> None:
    """Every command says what is wrong, or the objects are what they must be; `store repair` makes it whole again."""
    database = place.store / "nix" / "var" / "nix" / "db" / "db.sqlite"
    before = kept(place)
    chance = random.Random(2)
    told = 0
    for _ in range(6):
        restore(place, before)
        flip(database, chance.randrange(8 * database.stat().st_size))
        done = subprocess.run(
            place.command("verify", "--all", "--store", str(place.store)),
            cwd=place.workspace,
            env=place.environment,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 5, 6), done.stderr
        told += done.returncode != 0
        place.run("store", "repair")
        assert report(place, "--all")["checked"] == 3
        assert_sound(place.store)
    record_property("tried", f"6 bits flipped in the database, {told} said by verify, all mended by store repair")
