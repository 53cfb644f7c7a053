"""An exported flox repository, evaluated as flox evaluates it: each file of .flox/pkgs called with nixpkgs."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, nix, nix_path_info
from tests.end_to_end import Place, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX

#: A stand-in for nixpkgs: ``callPackage`` gives a function what it asks for, and makes the result overridable.
PKGS = """
rec {
  runCommand = name: attributes: script: derivation (attributes // {
    inherit name; system = builtins.currentSystem; builder = "/bin/bash"; args = [ "-ec" script ];
  });
  callPackage = file: let f = import file; in
    f (builtins.intersectAttrs (builtins.functionArgs f) { pkgs = { inherit runCommand; }; }) // { override = null; };
}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("output", [None, "repository"])
def test_every_target_evaluates_from_what_git_tracks(place: Place, tmp_path: Path, output: str | None) -> None:
    linked = place.package(tiny_model(), "tiny-1.5")
    solid = place.package(tiny_model(seed=1), "solid", storage="self-contained")
    place.run("export", "--to", "flox", *(("--output", tmp_path / output) if output else ()))
    repository = tmp_path / output if output else place.workspace
    expressions = sorted(path.name for path in (repository / ".flox/pkgs").iterdir())
    assert expressions == ["solid.nix", "tiny-1-5.nix"]  # each is a target, and a dot would part attributes
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    subprocess.run(["git", "-C", repository, "add", "-A", "."], check=True)
    listed = subprocess.run(["git", "-C", repository, "ls-files", "-z"], check=True, capture_output=True, text=True)
    tracked = listed.stdout.split("\0")[:-1]
    assert not [path for path in tracked if path.startswith("result-")]
    checkout = tmp_path / "checkout"
    for path in tracked:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(repository / path, checkout / path)
    (tmp_path / "pkgs.nix").write_text(PKGS)

    def evaluated(name: str) -> dict[str, str]:
        expression = (
            f"let p = (import {tmp_path}/pkgs.nix).callPackage {checkout}/.flox/pkgs/{name}.nix; in "
            "{ inherit (p) name pname drvPath; path = p.outPath; license = p.meta.license.spdxId; "
            'version = p.version or "unknown"; }'
        )
        found = nix(tmp_path / "other", "--eval", "--strict", "--json", "-E", expression, program="nix-instantiate")
        document: dict[str, str] = json.loads(found)
        return document

    package = evaluated("tiny-1-5")
    assert package["name"] == StorePath.parse(linked.store_path).name == "tiny-1.5-1.0.0+0000000"
    assert (package["pname"], package["version"], package["license"]) == ("tiny-1.5", "1.0.0+0000000", "Apache-2.0")
    assert evaluated("solid")["path"] == solid.store_path
    meta = json.loads((checkout / "build-meta/tiny-1-5.json").read_bytes())
    assert set(meta) == {"build_version", "force_increment", "git_rev", "git_rev_short", "changelog"}


def test_a_linked_package_builds_to_the_tree_of_build(place: Place, tmp_path: Path) -> None:
    built = place.package(tiny_model(), "tiny")
    place.run("export", "--to", "flox")
    (tmp_path / "pkgs.nix").write_text(PKGS)
    other = tmp_path / "other"
    for blob in built.references:
        nix(place.store, "copy", "--to", str(other), blob, program="nix")
    expression = f"(import {tmp_path}/pkgs.nix).callPackage {place.workspace}/.flox/pkgs/tiny.nix"
    made = nix(other, "-E", expression, "--no-out-link", program="nix-build").strip()
    info = nix_path_info(other, StorePath.parse(made))
    assert (info["narHash"], sorted(info["references"])) == (built.nar_hash, sorted(built.references))


def test_the_environment_is_written_once_and_then_the_users(place: Place) -> None:
    place.package(tiny_model(), "tiny")
    place.run("export", "--to", "flox")
    environment = json.loads((place.workspace / ".flox/env.json").read_bytes())
    assert environment == {"name": "workspace", "version": 1}
    manifest = place.workspace / ".flox/env/manifest.toml"
    assert tomllib.loads(manifest.read_text())["install"]
    manifest.write_text("version = 1\n# mine\n")
    assert place.json("export", "--to", "flox")["written"] == []
    assert manifest.read_text().endswith("# mine\n")
    ignored = (place.workspace / ".gitignore").read_text().splitlines()
    assert {"/result", "result-*", ".flox/cache/", ".flox/log/", ".flox/run/"} <= set(ignored)


@pytest.mark.parametrize("name", ["default", "my-flake"])
def test_names_that_flox_takes_for_something_else_are_refused(place: Place, tmp_path: Path, name: str) -> None:
    place.add(write_hf_cache(tmp_path / "cache", REPO_ID, COMMIT, tiny_model()), name)
    assert "does not take" in place.run("export", "--to", "flox", code=2)
