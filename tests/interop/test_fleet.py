"""Many packages for many machines, with real Nix: built on a remote builder, and pulled from one binary cache.

The builder is this machine over Nix's loopback: for the host ``localhost``, ``ssh-ng`` starts the other side by itself,
and speaks to it as it would through ssh. Every machine is a chroot store.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix, nix_lines, nix_path_info, store_entries
from tests.end_to_end import Built, Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model
from tests.served import served

from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


def _three_packages(place: Place) -> tuple[dict[str, bytes], list[Built]]:
    """Two models and a variant that shares the first one's weights, exported; and all files, as the Hub has them."""
    models = {"one": tiny_model(shards=2), "two": tiny_model(seed=1)}
    built = [place.package(files, name) for name, files in models.items()]
    built.append(place.package(models["one"], "one-too", layout="hf"))
    place.run("export", "--to", "nix")
    hub = {f"/{REPO_ID}/resolve/{COMMIT}/{path}": data for files in models.values() for path, data in files.items()}
    return hub, built


def _all_packages(place: Place, hub: str) -> str:
    """The expression of every exported package, its files from ``hub``."""
    return f"""map (p: p.override {{ endpoint = "{hub}"; }}) (builtins.attrValues (import {place.workspace}/nix))"""


def test_many_packages_are_built_on_a_remote_builder(place: Place, tmp_path: Path) -> None:
    hub, built = _three_packages(place)
    here, builder = tmp_path / "here", tmp_path / "builder"
    options = ("--max-jobs", "0", "--builders", f"ssh-ng://localhost?remote-store={builder} - - 4")
    with served(hub) as url:
        expression = _all_packages(place, url)
        trees = nix(here, "-E", expression, "--no-out-link", *options, program="nix-build").split()
    blobs = {Path(blob).name for package in built for blob in package.references}
    assert {tree[44:] for tree in trees} == {package.store_name for package in built}
    assert blobs <= store_entries(builder)  # all was done there
    by_name = {package.store_name: package for package in built}
    for tree in trees:
        info, package = nix_path_info(here, StorePath.parse(tree)), by_name[tree[44:]]
        assert (info["narHash"], sorted(info["references"])) == (package.nar_hash, sorted(package.references))
    assert_sound(here)
    assert_sound(builder)


@pytest.mark.parametrize("storage", ["linked", "self-contained"])
def test_a_second_machine_pulls_from_the_shared_cache(place: Place, tmp_path: Path, storage: str) -> None:
    """Nothing is signed and nobody is trusted: what is content-addressed proves itself."""
    cache, second = tmp_path / "cache", tmp_path / "second"
    built = [place.package(tiny_model(shards=2), "one", storage=storage)]
    built.append(place.package(tiny_model(seed=1), "two", storage=storage))
    paths = [package.store_path for package in built]
    nix(place.store, "copy", "--to", f"file://{cache}?compression=zstd", *paths, program="nix")
    options = ("--option", "substituters", f"file://{cache}", "--max-jobs", "0")
    assert nix_lines(second, "--realise", *paths, *options) == sorted(paths)
    for package in built:
        assert nix_path_info(second, StorePath.parse(package.store_path))["narHash"] == package.nar_hash
    assert_sound(second)
    # an expression finds the same objects: the blobs of a linked package, the whole of a self-contained one
    place.run("export", "--to", "nix")
    third = tmp_path / "third"
    what = "(map (p: p.blobs) all)" if storage == "linked" else "all"
    expression = f"let all = {_all_packages(place, 'http://127.0.0.1:1')}; in {what}"
    made = nix(third, "-E", expression, "--no-out-link", *options, program="nix-build").split()
    blobs = {blob for package in built for blob in package.references}
    assert set(made) == (blobs if storage == "linked" else set(paths))
