"""Real Nix works on the store that the command left, and the command on what Nix left of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix, nix_lines, nix_path_info
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_flat, write_hf_cache

from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


def _blobs(place: Place, name: str) -> list[str]:
    return [blob["store_path"] for blob in place.json("plan", name)["blobs"]]


@pytest.mark.parametrize("storage", STORAGES)
def test_nix_knows_the_package_and_finds_it_whole(place: Place, tmp_path: Path, storage: str) -> None:
    built = place.package(tiny_model(shards=3), "tiny", storage=storage)
    blobs = _blobs(place, "tiny")
    references = blobs if storage == "linked" else []
    info = nix_path_info(place.store, StorePath.parse(built.store_path))
    assert (info["narHash"], info["narSize"]) == (built.nar_hash, built.nar_size)
    assert sorted(info["references"]) == built.references == sorted(references)
    assert nix_lines(place.store, "--query", "--references", built.store_path) == sorted(references)
    assert nix_lines(place.store, "--query", "--requisites", built.store_path) == sorted(
        [built.store_path, *references]
    )
    assert_sound(place.store)
    other = tmp_path / "other"
    nix(
        Path("auto"), "copy", "--from", str(place.store), "--to", str(other), built.store_path,
        "--option", "require-sigs", "true", program="nix",
    )  # fmt: skip
    assert_sound(other)
    # The copy is a store of ours as well.
    place.run("verify", built.store_path, "--store", other)
    assert place.run("path", built.store_path, "--store", other).strip() == str(
        other / built.store_path.removeprefix("/")
    )


@pytest.mark.parametrize("storage", STORAGES)
def test_nix_collects_what_neither_result_nor_lock_needs(place: Place, storage: str) -> None:
    keep = place.package(tiny_model(), "keep", storage=storage)
    kept = {keep.store_path, *_blobs(place, "keep")}
    locked = write_hf_cache(place.home / "locked", REPO_ID, COMMIT, tiny_model(seed=5))
    place.add(locked, "locked", storage=storage)
    kept |= set(_blobs(place, "locked"))
    drop = place.package(tiny_model(shards=2, seed=7), "drop", storage=storage)
    dropped = {drop.store_path, *_blobs(place, "drop")}
    assert {root["store_path"] for root in place.json("roots")} == kept | dropped

    (place.workspace / "result-drop").unlink()
    (place.workspace / "models" / "drop.lock").unlink()
    assert {root["store_path"] for root in place.json("roots")} == kept
    would = place.json("gc", "--dry-run")
    assert set(would["deleted"]) == dropped
    # Nix knows of no owner: it lets go of what our collector has seen to be nobody's.
    nix(place.store, "--gc")
    assert set(nix_lines(place.store, "--gc", "--print-live")) == kept | dropped
    assert set(place.json("gc")["deleted"]) == dropped
    assert set(nix_lines(place.store, "--gc", "--print-live")) == kept
    assert_sound(place.store)
    place.run("verify", "keep")
    weights = sum(blob["size"] for blob in place.json("plan", "locked")["blobs"])
    shutil.rmtree(locked)
    assert place.build("locked").bytes_read == (0 if storage == "linked" else weights)


def test_what_nix_took_is_built_again(place: Place) -> None:
    built = place.package(tiny_model(shards=2), "tiny")
    scrap = write_flat(place.home / "scrap", {"scrap.bin": b"scrap"}) / "scrap.bin"
    rubbish = nix(place.store, "--add-fixed", "sha256", str(scrap)).strip()
    assert nix_lines(place.store, "--gc", "--print-dead") == [rubbish]
    nix(place.store, "--gc")
    assert not (place.store / rubbish.removeprefix("/")).exists()
    place.run("verify", "tiny")
    # Without our roots everything goes, and comes back the same.
    shutil.rmtree(place.store / "nix/var/nix/gcroots/hf-pack")
    nix(place.store, "--gc")
    assert nix_lines(place.store, "--gc", "--print-live") == []
    place.run("verify", "tiny", code=5)
    assert place.build("tiny").store_path == built.store_path
    place.run("verify", "tiny")
    assert_sound(place.store)
