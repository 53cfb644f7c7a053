"""``hf-pack export --to dir``."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Damage, Place


def _links_out(directory: Path) -> list[Path]:
    inside = directory.resolve()
    return [path for path in directory.rglob("*") if path.is_symlink() and not path.resolve().is_relative_to(inside)]


def test_a_package_becomes_a_directory_of_its_name(place: Place) -> None:
    place.build()
    assert place.done("export", "tiny-llm", "--to", "dir").out == "HOME/workspace/tiny-llm\n"
    directory = place.workspace / "tiny-llm"
    assert all(path.stat().st_nlink == 1 for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    assert _links_out(directory) == [] and next(directory.rglob("*.safetensors")).is_file()
    assert "is there already" in place.run("export", "tiny-llm", "--to", "dir").err


def test_the_output_is_the_directory_of_one_and_holds_those_of_several(place: Place) -> None:
    store_path = place.build()
    place.done("add", place.cache, "--name", "another")
    place.done("build", "another")
    place.done("export", "tiny-llm", "--to", "dir", "--output", place.home / "one")
    assert (place.home / "one" / "share").is_dir()
    document = place.done("export", "--to", "dir", "--output", place.home / "all", "--json").document
    assert [item["directory"] for item in document] == ["HOME/all/another", "HOME/all/tiny-llm"]
    assert (place.home / "all" / "another" / "share").is_dir()
    document = place.done("export", store_path, "--to", "dir", "--hard-links", "--json").document[0]
    assert document["directory"] == f"HOME/workspace/{store_path[11:]}"
    assert document["store_path"] == store_path and document["bytes_copied"] == 0 and document["files"] > 9


def test_a_package_that_was_never_built_is_no_directory(place: Place) -> None:
    place.add()
    ran = place.run("export", "tiny-llm", "--to", "dir")
    assert (ran.code, ran.err) == (3, "error: tiny-llm was never built here\nhint: hf-pack build tiny-llm\n")
    assert not (place.workspace / "tiny-llm").exists()


def test_a_damaged_package_becomes_no_directory(place: Place, damage: Damage) -> None:
    path = place.build()
    blob = next((place.store / "nix" / "store").glob("*-model.safetensors"))
    good = blob.read_bytes()
    damage(blob)
    ran = place.run("export", "tiny-llm", "--to", "dir")
    assert ran.code == 5
    assert ran.err.startswith(f"error: {path[44:]} is damaged; it was not written\n  /nix/store/{blob.name}: ")
    assert ran.err.endswith(f"hint: hf-pack verify {path} --repair\n")
    assert not (place.workspace / "tiny-llm").exists()
    place.done("verify", path, "--repair")  # what the hint says
    place.done("export", "tiny-llm", "--to", "dir")
    assert next((place.workspace / "tiny-llm").rglob("model.safetensors")).read_bytes() == good
