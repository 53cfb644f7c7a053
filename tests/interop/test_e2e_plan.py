"""One model has one store path: planned from a checkout alone, and however it lies on disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.end_to_end import PATCH, STORAGES, Place, large_tokenizer, new_place
from tests.models import (
    COMMIT,
    REPO_ID,
    tiny_model,
    write_flat,
    write_git_clone,
    write_hf_cache,
    write_local_dir,
)

FILES = tiny_model(shards=2, extra={"tokenizer.json": large_tokenizer(), "chat/説明.json": b"{}"})
SLUG = REPO_ID.replace("/", "--")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_checkout_without_store_and_source_plans_what_was_built(place: Place, tmp_path: Path, storage: str) -> None:
    source = write_hf_cache(place.home / "hub", REPO_ID, COMMIT, FILES)
    place.add(source, "tiny", storage=storage)
    manifest = place.workspace / "models" / "tiny.toml"
    manifest.write_text(manifest.read_text() + PATCH)
    place.run("lock", "tiny")
    before = place.json("plan", "tiny")["store_path"]
    built = place.build("tiny")
    assert before == (built.store_path if storage == "linked" else None)

    # What git would carry: no result link.
    elsewhere = Place(tmp_path / "elsewhere")
    for path in ("hf-pack.toml", "models", "build-meta"):
        copy = shutil.copytree if (place.workspace / path).is_dir() else shutil.copy
        elsewhere.workspace.mkdir(parents=True, exist_ok=True)
        copy(place.workspace / path, elsewhere.workspace / path)
    subprocess.run(["chmod", "-R", "u+w", str(place.home)], check=True)
    shutil.rmtree(place.home)
    plan = elsewhere.json("plan", "tiny")
    assert plan["store_path"] == built.store_path
    assert plan["nar_size"] == built.nar_size
    assert [blob["present"] for blob in plan["blobs"]] == [False] * 3
    assert not elsewhere.store.exists()
    said = elsewhere.run("build", "tiny", "--offline", code=4)
    assert "model-00001-of-00002.safetensors" in said and "hint:" in said


def _snapshot(place: Path) -> Path:
    return write_hf_cache(place, REPO_ID, COMMIT, FILES) / "snapshots" / COMMIT


def _cache_root(place: Path) -> Path:
    write_hf_cache(place, REPO_ID, COMMIT, FILES, "files")
    return place


SOURCES: dict[str, Callable[[Path], Path]] = {
    "cache of links": lambda place: write_hf_cache(place, REPO_ID, COMMIT, FILES, "links"),
    "cache of files": lambda place: write_hf_cache(place, REPO_ID, COMMIT, FILES, "files"),
    "cache with shared blobs": lambda place: write_hf_cache(place, REPO_ID, COMMIT, FILES, "shared"),
    "cache root": _cache_root,
    "snapshot": _snapshot,
    "local-dir": lambda place: write_local_dir(place / SLUG, FILES, COMMIT),
    "git clone": lambda place: write_git_clone(place / "clone", FILES, COMMIT),
    "flat": lambda place: write_flat(place / "anywhere", FILES),
}


@pytest.mark.parametrize("storage", STORAGES)
def test_however_it_lies_on_disk_a_model_is_one_package(place: Place, tmp_path: Path, storage: str) -> None:
    paths = {}
    for number, (kind, write) in enumerate(SOURCES.items()):
        source = write(tmp_path / str(number))
        if kind == "flat":
            place.run("add", source, "--name", "tiny", "--layout", "dual", "--storage", storage, "--revision", COMMIT)
            manifest = place.workspace / "models" / "tiny.toml"
            text = manifest.read_text()
            manifest.write_text(text.replace('slug = "local--anywhere"', f'slug = "{SLUG}"'))
            assert manifest.read_text() != text
            place.run("lock", "tiny")
        else:
            place.add(source, "tiny", storage=storage)
        paths[kind] = place.build("tiny").store_path
        for file in (place.workspace / "models").glob("tiny.*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    assert len(set(paths.values())) == 1, paths
