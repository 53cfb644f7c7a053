"""Exported expressions under real Nix: the same blobs, trees and packages as `build` makes, purely and offline."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix, nix_path_info
from tests.end_to_end import LAYOUTS, PATCH, Place, corpus, large_tokenizer, new_place
from tests.models import COMMIT, FINGERPRINT, REPO_ID, tiny_model, write_flat, write_hf_cache
from tests.nixes import EVERY_NIX
from tests.served import served

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX

CA = ("--extra-experimental-features", "ca-derivations")
PATCH_LARGE = PATCH.replace("tokenizer_config.json", "tokenizer.json").replace("model_max_length", "truncation")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A store of Nix's own, empty."""
    return tmp_path / "other"


def _add_blobs(place: Place, other: Path, tmp_path: Path) -> None:
    """Every blob that `build` made, added to the other store as files, under their names."""
    for number, file in enumerate(sorted((place.store / "nix/store").iterdir())):
        if file.is_file():
            copy = tmp_path / "copies" / str(number) / file.name[33:]
            copy.parent.mkdir(parents=True)
            shutil.copyfile(file, copy)
            nix(other, "--add-fixed", "sha256", str(copy))


def _build(other: Path, expression: str, *options: str) -> str:
    return nix(other, "-E", expression, "--no-out-link", *options, program="nix-build").strip()


def _evaluated(other: Path, expression: str) -> str:
    return nix(other, "--eval", "-E", expression, program="nix-instantiate").strip().strip('"')


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_linked_package_is_the_one_that_build_makes(place: Place, other: Path, tmp_path: Path, layout: str) -> None:
    models = {**corpus(), "patched-large": tiny_model(seed=3, extra={"tokenizer.json": large_tokenizer()})}
    if layout != "dual":  # the layouts differ in where files go, not in which files they can hold
        models = {name: models[name] for name in ("patched", "patched-large", "unicode")}
    for name, files in models.items():
        place.add(write_hf_cache(tmp_path / name, REPO_ID, COMMIT, files), name, layout=layout)
    for name, patch in (("patched", PATCH), ("patched-large", PATCH_LARGE)):
        manifest = place.workspace / "models" / f"{name}.toml"
        manifest.write_text(manifest.read_text() + patch)
        place.run("lock", name)
    assert place.run("export", "--to", "nix") == f"{place.workspace}/nix\n"  # before anything was built
    built = {package.name: package for package in place.build_all()}
    _add_blobs(place, other, tmp_path)
    packages = place.workspace / "nix"
    for name, package in built.items():
        blobs = _evaluated(other, f'toString (map (b: b) (import {packages})."{name}".blobs)').split()
        assert sorted(blobs) == sorted(package.references)
    trees = nix(other, str(packages), "--no-out-link", program="nix-build").split()
    assert nix(other, str(packages), "--no-out-link", program="nix-build").split() == trees
    wanted = " ".join(f'((import {packages})."{name}".override {{ contentAddressed = true; }})' for name in built)
    addressed = _build(other, f"[ {wanted} ]", *CA).split()
    assert addressed == [package.store_path for package in built.values()]
    for tree, package in zip(trees, built.values(), strict=True):
        info = nix_path_info(other, StorePath.parse(tree))
        assert tree[44:] == package.store_path[44:]
        assert (info["narHash"], info["narSize"]) == (package.nar_hash, package.nar_size)
        assert sorted(info["references"]) == sorted(package.references)
    assert_sound(other)


def test_evaluation_is_pure(place: Place, other: Path, tmp_path: Path) -> None:
    place.package(tiny_model(), "tiny")
    place.run("export", "--to", "nix")
    _add_blobs(place, other, tmp_path)
    here = _evaluated(other, f"(import {place.workspace}/nix).tiny.outPath")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(place.workspace, elsewhere, symlinks=True)
    restricted = ("--option", "restrict-eval", "true", "-I", f"models={elsewhere}/nix")
    found = nix(other, "--eval", *restricted, "-E", "(import <models>).tiny.outPath", program="nix-instantiate")
    assert found.strip() == f'"{here}"'
    made = nix(other, "build", f"path:{elsewhere}#tiny", "--no-link", "--json", program="nix")
    assert here in made
    builder = ("eval", "--json", "--apply", "builtins.isFunction", f"path:{elsewhere}#lib.mkHfModel")
    assert nix(other, *builder, program="nix").strip() == "true"
    for system in ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"):
        attribute = f"path:{elsewhere}#packages.{system}.tiny.outPath"
        assert nix(other, "eval", "--raw", attribute, program="nix") == here


def test_packages_say_what_they_are(place: Place, other: Path) -> None:
    place.package(tiny_model(), "tiny-1.5")
    place.run("export", "--to", "nix")
    package = f"(import {place.workspace}/nix).tiny-1-5"
    said = _evaluated(
        other,
        f"with {package}; builtins.concatStringsSep "
        '" " [ name pname version meta.homepage meta.license.spdxId (toString meta.platforms) ]',
    )
    assert said == (
        f"tiny-1.5-1.0.0+0000000 tiny-1.5 1.0.0+0000000 https://huggingface.co/{REPO_ID} Apache-2.0 "
        "aarch64-darwin aarch64-linux x86_64-darwin x86_64-linux"
    )


def test_an_override_that_does_nothing_is_refused(place: Place, other: Path) -> None:
    place.package(tiny_model(), "tiny")
    place.run("export", "--to", "nix")
    expression = f'((import {place.workspace}/nix).tiny.override {{ endpoints = "https://mirror.example"; }}).outPath'
    said = nix(other, "--eval", "-E", expression, program="nix-instantiate", check=False)
    assert "tiny: override does not take endpoints" in said


def test_files_come_from_the_hub_or_a_stand_in(place: Place, other: Path, tmp_path: Path) -> None:
    """No weight is on this machine's store: Nix fetches each, and the address changes no path."""
    files = corpus()["unicode"]
    built = place.package(files, "tiny")
    place.run("export", "--to", "nix")
    plain = f"(import {place.workspace}/nix).tiny"
    assert _evaluated(other, f"(builtins.head {plain}.blobs).url").startswith(f"https://huggingface.co/{REPO_ID}/")
    with served({f"/{REPO_ID}/resolve/{COMMIT}/{path}": contents for path, contents in files.items()}) as hub:
        made = _build(other, f'{plain}.override {{ endpoint = "{hub}"; }}')
    assert made == _evaluated(other, f"{plain}.outPath")
    assert nix_path_info(other, StorePath.parse(made))["narHash"] == built.nar_hash


def test_a_token_for_a_gated_repository_enters_no_store(place: Place, other: Path, tmp_path: Path) -> None:
    """Nix gives it from its ``netrc-file``; without one the Hub refuses."""
    files = tiny_model()
    built = place.package(files, "tiny")
    place.run("export", "--to", "nix")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password hf_abcdefgh\n")
    hub = {f"/{REPO_ID}/resolve/{COMMIT}/{path}": contents for path, contents in files.items()}
    with served(hub, password="hf_abcdefgh") as url:
        expression = f'(import {place.workspace}/nix).tiny.override {{ endpoint = "{url}"; }}'
        said = nix(other, "-E", expression, "--no-out-link", program="nix-build", check=False)
        assert "401" in said
        made = _build(other, expression, "--option", "netrc-file", str(netrc))
    assert nix_path_info(other, StorePath.parse(made))["narHash"] == built.nar_hash
    assert not [path for path in other.rglob("*") if path.is_file() and b"hf_abcdefgh" in path.read_bytes()]


def test_a_mirror_of_the_workspace_is_written_down(place: Place) -> None:
    place.package(tiny_model(), "tiny")
    settings = place.workspace / "hf-pack.toml"
    settings.write_text('mirrors = ["https://me:secret@mirror.example/hub/?key=secret"]\n')
    place.run("export", "--to", "nix")
    text = (place.workspace / "nix/tiny.json").read_text()
    assert '"https://huggingface.co",\n    "https://mirror.example/hub"' in text and "secret" not in text


def test_a_self_contained_package_is_the_one_that_build_makes(place: Place, other: Path, tmp_path: Path) -> None:
    files = corpus()["unicode"]
    place.add(write_hf_cache(tmp_path / "cache", REPO_ID, COMMIT, files), "solid", storage="self-contained")
    said = place.run("export", "solid", "--to", "nix", code=3)
    assert "hint: hf-pack build solid" in said and not (place.workspace / "nix").exists()
    built = place.build("solid")
    place.run("export", "--to", "nix")
    plain = f"(import {place.workspace}/nix).solid"
    assert _evaluated(other, f"{plain}.outPath") == built.store_path
    # from the NAR of a binary cache
    cache = tmp_path / "binary-cache"
    nix(place.store, "copy", "--to", f"file://{cache}?compression=none", built.store_path, program="nix")
    nars = {f"/{path.relative_to(cache)}": path.read_bytes() for path in cache.rglob("*.nar")}
    with served(nars) as url:
        assert _build(other, f'{plain}.override {{ cache = "{url}"; }}') == built.store_path
    assert nix_path_info(other, StorePath.parse(built.store_path))["narHash"] == built.nar_hash
    # nothing is built or fetched when it is there, whatever the address
    assert _build(other, plain) == built.store_path
    assert_sound(other)
    # a changed plan is no longer the recorded one
    place.run("bump", "solid", "-m", "Again.")
    assert "not as it is planned now" in place.run("export", "solid", "--to", "nix", code=3)


def test_a_self_contained_package_is_put_together_with_a_shell(place: Place, other: Path, tmp_path: Path) -> None:
    """A stand-in for nixpkgs: the one function of it that is used, with this machine's own shell.

    The shell ends by itself, as that of nixpkgs does: in place of a shell, a last command that closes its output before
    it exits is killed by Nix, which takes the closed output for the end.
    """
    files = {**corpus()["unicode"], "it's $HOME/`x`.safetensors": tiny_model(seed=5)["model.safetensors"]}
    built = place.package(files, "solid", storage="self-contained")
    place.run("export", "--to", "nix")
    _add_blobs(place, other, tmp_path)
    pkgs = tmp_path / "pkgs.nix"
    pkgs.write_text("""{
      runCommand = name: attributes: script: derivation (attributes // {
        inherit name;
        system = builtins.currentSystem;
        builder = "/bin/bash";
        args = [ "-ec" ("PATH=/usr/bin:/bin\\n" + script + "\\nexit 0") ];
      });
    }""")
    expression = f"(import {place.workspace}/nix).solid.override {{ pkgs = import {pkgs}; }}"
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    mounted = " ".join(path for path in ("/bin", "/usr", "/lib", "/lib64") if Path(path).exists())
    assert _build(other, expression, "--option", "sandbox-paths", mounted) == built.store_path
    assert nix_path_info(other, StorePath.parse(built.store_path))["narHash"] == built.nar_hash


def test_a_model_that_is_not_on_the_hub_is_added_first(place: Place, other: Path, tmp_path: Path) -> None:
    source = write_hf_cache(tmp_path / "cache", REPO_ID, FINGERPRINT, tiny_model(), layout="files")
    place.add(source, "tiny")
    built = place.build("tiny")
    place.run("export", "--to", "nix")
    plain = f"(import {place.workspace}/nix).tiny"
    assert ".invalid/" in _evaluated(other, f"(builtins.head {plain}.blobs).url")
    assert _evaluated(other, f'if {plain}.meta ? homepage then "a" else "none"') == "none"
    _add_blobs(place, other, tmp_path)
    assert nix_path_info(other, StorePath.parse(_build(other, plain)))["narHash"] == built.nar_hash


def test_an_export_is_deterministic_and_spares_the_files_of_others(place: Place, tmp_path: Path) -> None:
    place.package(tiny_model(), "tiny")
    document = place.json("export", "--to", "nix")
    assert document["packages"] == ["tiny"] and len(document["written"]) == 6
    assert place.json("export", "--to", "nix")["written"] == []
    place.run("export", "--to", "nix", "--output", tmp_path / "out")
    for file in ("default.nix", "mkHfModel.nix", "package.nix", "tiny.json", "tiny.tar"):
        assert (tmp_path / "out" / file).read_bytes() == (place.workspace / "nix" / file).read_bytes()
    (place.workspace / "flake.nix").write_text("{ outputs = _: { }; }\n")
    place.run("export", "--to", "nix")
    assert (place.workspace / "flake.nix").read_text() == "{ outputs = _: { }; }\n"
    write_flat(tmp_path / "mine", {"default.nix": b"{ }\n"})
    said = place.run("export", "--to", "nix", "--output", tmp_path / "mine", code=2)
    assert "left alone" in said and sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["default.nix"]


@pytest.mark.parametrize("sandbox", ["false", "true"])
@pytest.mark.parametrize("directory", EVERY_NIX)
def test_every_nix_evaluates_and_builds_the_same(place: Place, tmp_path: Path, directory: str, sandbox: str) -> None:
    """Purely, restricted, as a flake, and offline, each version in a store of its own."""
    if (
        sandbox == "true"
        and subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs mount namespaces")
    programs, other = Path(directory), tmp_path / "other"
    linked = place.package(tiny_model(shards=2), "tiny")
    solid = place.package(tiny_model(seed=1), "solid", storage="self-contained")
    place.run("export", "--to", "nix")
    nar = tmp_path / "binary-cache"
    nix(place.store, "copy", "--to", f"file://{nar}?compression=none", solid.store_path, program="nix")
    for number, blob in enumerate(linked.references):
        copy = tmp_path / str(number) / blob[44:]
        copy.parent.mkdir()
        shutil.copyfile(place.store / blob[1:], copy)
        nix(other, "--add-fixed", "sha256", str(copy), program=str(programs / "nix-store"))

    def built(*arguments: str) -> list[str]:
        options = ("--no-out-link", "--option", "sandbox", sandbox)
        return nix(other, *arguments, *options, program=str(programs / "nix-build")).split()

    packages = f"import {place.workspace}/nix"
    assert built("-E", f"({packages}).tiny.override {{ contentAddressed = true; }}", *CA) == [linked.store_path]
    with served({f"/{path.relative_to(nar)}": path.read_bytes() for path in nar.rglob("*.nar")}) as url:
        assert built("-E", f'({packages}).solid.override {{ cache = "{url}"; }}') == [solid.store_path]
    trees = built(f"{place.workspace}/nix")
    assert trees[0] == solid.store_path and trees[1][44:] == linked.store_path[44:]
    lines = nix(other, "--query", "--hash", trees[1], program=str(programs / "nix-store")).split()
    assert [Hash.parse(line) for line in lines] == [Hash.parse(linked.nar_hash)]
    assert trees == built(f"{place.workspace}/nix")  # nothing to do
    restricted = ("--eval", "--option", "restrict-eval", "true", "-I", f"models={place.workspace}/nix")
    found = nix(other, *restricted, "-E", "(import <models>).tiny.outPath", program=str(programs / "nix-instantiate"))
    assert found.strip() == f'"{trees[1]}"'
    flake = (f"path:{place.workspace}#packages.x86_64-linux.tiny.outPath", "--raw")
    assert nix(other, "eval", *flake, program=str(programs / "nix")) == trees[1]
    said = nix(other, "--verify", "--check-contents", program=str(programs / "nix-store"), check=False)
    assert "error" not in said, said


@pytest.mark.skipif("HF_PACK_NIXPKGS" not in os.environ, reason="needs a nixpkgs checkout in HF_PACK_NIXPKGS")
def test_expressions_evaluate_with_nixpkgs(place: Place, other: Path, tmp_path: Path) -> None:
    """With the real ``callPackage`` and ``runCommand``: the same paths, names and versions."""
    linked = place.package(tiny_model(), "tiny")
    solid = place.package(tiny_model(seed=1), "solid", storage="self-contained")
    for target in ("nix", "flox"):
        place.run("export", "--to", target)
    source = write_flat(tmp_path / "flat", tiny_model())
    pkgs = f"(import {os.environ['HF_PACK_NIXPKGS']} {{ config = {{ }}; overlays = [ ]; }})"
    workspace = place.workspace
    expression = f"""let
      pkgs = {pkgs};
      models = import {workspace}/nix;
      mkHfModel = pkgs.callPackage {workspace}/nix/mkHfModel.nix {{ }};
      made = mkHfModel {{
        pname = "made"; baseVersion = "1.0.0"; buildMeta = {{ build_version = 1; git_rev_short = "ca88e16"; }};
        srcPath = {source}; tritonModelName = "made";
      }};
    in toString (map (package: package.outPath) [
      models.tiny
      (pkgs.callPackage {workspace}/.flox/pkgs/tiny.nix {{ }})
      (models.solid.override {{ inherit pkgs; }})
      (pkgs.callPackage {workspace}/.flox/pkgs/solid.nix {{ }})
    ] ++ [ made.name made.drvPath (pkgs.lib.getVersion models.tiny) ])"""
    plain, flox, whole, whole_of_flox, name, _, version = _evaluated(other, expression).split()
    assert plain == flox and plain[44:] == linked.store_path[44:]
    assert whole == whole_of_flox == solid.store_path
    assert (name, version) == ("made-1.0.0+ca88e16", "1.0.0+0000000")
