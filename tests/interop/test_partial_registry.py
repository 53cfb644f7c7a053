"""What a scheduler reads of a package in a registry: one small layer, and no weight."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.end_to_end import STORAGES, Place, new_place
from tests.models import tiny_model
from tests.registries import NEEDS_REGISTRY, registry


def box(home: Path) -> Place:
    place = Place(home)
    place.workspace.mkdir(parents=True)
    return place


@NEEDS_REGISTRY
@pytest.mark.parametrize("shape", ["modelpack", "image"])
@pytest.mark.parametrize("storage", STORAGES)
def test_one_layer_is_fetched(storage: str, shape: str, tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = place.package(tiny_model(shards=2), "tiny", storage=storage)
    with registry(tmp_path / "registry") as server:
        place.run("publish", "tiny", "--to", server.url("tiny", "1"), "--as", shape)
        before = len(server.requests("GET"))
        words = ("pull", "tiny", "--from", server.url("tiny", "1"), "--only", "config", "--output", "out")
        found = other.json(*words)
        fetched = [path for path in server.requests("GET")[before:] if "/blobs/" in path]
    assert len(fetched) == 1
    assert found["store_path"] == built.store_path and found["proved"] is (storage == "linked")
    expected = {path.relative_to(built.real_path).as_posix() for path in Path(built.real_path).rglob("*.json")}
    assert expected <= found["files"].keys()
    for path in found["files"]:
        assert (other.workspace / "out" / path).read_bytes() == Path(built.real_path, path).read_bytes()
    assert not list((other.workspace / "out").rglob("*.safetensors")) and other.json("list") == []


def test_a_layout_and_what_is_refused(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    built = place.package(tiny_model(), "whole", storage="self-contained")
    layout = tmp_path / "layout"
    place.run("export", "whole", "--to", "oci-layout", "--output", layout, "--as", "image")
    words = ("pull", built.store_path, "--from", f"oci-layout:{layout}", "--only", "tree")
    assert "--output" in other.run(*words, code=2)
    assert "another package" in other.run("pull", "tiny", *words[2:], "--output", "out", code=2)
    assert "README.md" in other.run(*words, "--output", "out")
    key = place.run("key", "generate", "key-1").strip()
    demanded = ("--signatures", "enforce", "--trusted-key", key, "--output", "more")
    assert "proof is demanded" in other.run(*words, *demanded, code=8)
    assert not (other.workspace / "more").exists()


def test_a_layer_that_was_changed_gives_no_file(tmp_path: Path) -> None:
    place, other = new_place(tmp_path / "publisher"), box(tmp_path / "box")
    place.package(tiny_model(), "tiny")
    layout = tmp_path / "layout"
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout, "--as", "modelpack")
    for blob in (layout / "blobs" / "sha256").iterdir():
        data = blob.read_bytes()
        if b'"tokenizer_class"' in data and not _is_json(data):
            blob.write_bytes(data.replace(b'"tokenizer_class"', b'"tokenizer_klass"'))
    words = ("pull", "--from", f"oci-layout:{layout}", "--only", "config", "--output", "out")
    assert "other bytes" in other.run(*words, code=5)
    assert not (other.workspace / "out").exists()


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
