"""A full disk is an error that says what was needed, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.end_to_end import Place, new_place
from tests.models import COMMIT, REPO_ID, filler, safetensors, tiny_model, write_hf_cache

from hf_pack.adapters.embedded.store import EmbeddedStore

MIB = 1 << 20


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """One whose store is a disk of its own, of 16 MiB and 400 files."""
    place = new_place(tmp_path / "home")
    place.store.mkdir()
    with _disk(place.store, "size=16m,nr_inodes=400"):
        yield place


@contextmanager
def _disk(directory: Path, options: str) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", options, "hf-pack-test", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs root that may mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def _source(place: Place, weights: int, **small: bytes) -> Path:
    files = tiny_model(extra={"model.safetensors": safetensors({"w": ("U8", (weights,))}), **small})
    return write_hf_cache(place.home / "cache", REPO_ID, COMMIT, files)


def _valid(place: Place) -> list[str]:
    with EmbeddedStore(place.store) as store:
        return [str(info.store_path) for info in store.all_paths()]


def _assert_nothing_left(place: Place) -> None:
    """The store holds no object, and no part of one."""
    assert _valid(place) == []
    assert list((place.store / "nix/store").iterdir()) == []
    assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []


def _free(place: Place) -> int:
    status = os.statvfs(place.store)
    return status.f_bavail * status.f_frsize


def test_weights_that_do_not_fit(place: Place) -> None:
    place.run("gc")
    said = place.run("add", _source(place, 20 * MIB), "--name", "tiny", code=6)
    weights = (place.home / "cache/models--acme--tiny-llm/snapshots" / COMMIT / "model.safetensors").stat().st_size
    assert f"{weights:,} bytes" in said
    assert "free" in said and "hint: " in said
    _assert_nothing_left(place)
    assert not list((place.workspace / "models").iterdir())


def test_a_build_whose_weights_do_not_fit_any_more(place: Place) -> None:
    source = _source(place, 12 * MIB)
    place.run("add", source, "--name", "tiny")
    (place.workspace / "models/tiny.lock").rename(place.home / "lock")
    place.run("gc")
    (place.home / "lock").rename(place.workspace / "models/tiny.lock")
    (place.store / "something-else").write_bytes(filler(8 * MIB))
    said = place.run("build", "tiny", code=6)
    assert "bytes" in said and "free" in said
    _assert_nothing_left(place)
    assert not (place.workspace / "result-tiny").is_symlink()
    (place.store / "something-else").unlink()
    place.run("build", "tiny")
    place.run("verify", "tiny")


def test_a_tree_that_does_not_fit(place: Place) -> None:
    texts = {f"text-{number}.txt": filler(900_000, number) for number in range(4)}
    place.run("add", _source(place, 8 * MIB, **texts), "--name", "tiny")
    blob = place.json("plan", "tiny")["blobs"][0]["store_path"]
    (place.store / "something-else").write_bytes(filler(_free(place) - 2 * MIB))
    said = place.run("build", "tiny", code=6)
    assert re.search(r"needs 3,6\d\d,\d{3} bytes, 2,0\d\d,\d{3} are free", said), said
    assert _valid(place) == [blob]
    assert [entry.name for entry in (place.store / "nix/store").iterdir()] == [blob.removeprefix("/nix/store/")]
    assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []
    assert not (place.workspace / "models/tiny.record").exists()
    (place.store / "something-else").unlink()
    place.run("build", "tiny")
    place.run("verify", "tiny")


def test_no_file_can_be_made(place: Place) -> None:
    # Room for bytes, none for names: no look at the free bytes can foresee it.
    texts = {f"notes/{number}.txt": b"x" for number in range(400)}
    place.run("add", _source(place, MIB, **texts), "--name", "tiny")
    before = _free(place)
    assert "No space left on device" in place.run("build", "tiny", code=6)
    assert len(list((place.store / "nix/store").iterdir())) == 1
    assert list((place.store / "nix/var/hf-pack/staging").iterdir()) == []
    assert before - _free(place) < 100_000
