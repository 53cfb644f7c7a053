"""Exports as sets of files."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

from tests import sample_package

from hf_pack.expressions.flox_export import environment_files, flox_files
from hf_pack.expressions.mk_hf_model import mk_hf_model_nix
from hf_pack.expressions.nix_export import nix_files, package_files
from hf_pack.expressions.nix_texts import PACKAGE_NIX, WRITTEN
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import WEIGHT_SUFFIXES

LARGE = b"patched" * 200_000


def _package(files: Mapping[str, bytes] = sample_package.FILES) -> dict[str, bytes]:
    lock, plan = sample_package.lock(files), sample_package.plan(files=files)
    kept = {**sample_package.kept(files), "tokenizer_config.json": files["tokenizer_config.json"]}
    return package_files(sample_package.manifest(), lock, plan, "1.0.0+a1b2c3d", kept, nar_hash=None)


def test_a_package_is_its_data_and_its_patched_blobs() -> None:
    assert set(_package()) == {"tiny-1-5.json", "tiny-1-5.tar"}
    with_large = _package({**sample_package.FILES, "tokenizer_config.json": LARGE})
    patched = f"tiny-1-5.files/{Hash.sha256_of(LARGE).hex()}"
    assert with_large[patched] == LARGE and len(with_large) == 3


def test_a_directory_for_nix_names_every_package_and_nothing_else() -> None:
    files = nix_files({"b": {"b.json": b"{}"}, "a": {"a.json": b"{}", "a.tar": b""}})
    assert set(files) == {"default.nix", "package.nix", "a.json", "a.tar", "b.json"}
    assert files["default.nix"].count(b"= package ") == 2
    assert files["package.nix"].decode() == PACKAGE_NIX and PACKAGE_NIX.startswith(WRITTEN)


def test_a_repository_for_flox_has_one_whole_expression_a_package() -> None:
    files = flox_files({"tiny-1-5": _package()}, {"tiny-1-5": sample_package.META.format()})
    assert set(files) == {
        ".flox/pkgs/tiny-1-5.nix",
        "build-meta/tiny-1-5.json",
        "nix/tiny-1-5.json",
        "nix/tiny-1-5.tar",
    }
    text = files[".flox/pkgs/tiny-1-5.nix"].decode()
    assert (
        "import" not in text and 'name = "tiny-1-5";' in text and "inherit pkgs;" in text and "pkgs = null" not in text
    )


def test_an_environment_is_one_of_its_directory() -> None:
    files = environment_files("models")
    assert json.loads(files[".flox/env.json"]) == {"name": "models", "version": 1}
    manifest = tomllib.loads(files[".flox/env/manifest.toml"].decode())
    assert manifest["version"] == 1 and manifest["install"] and "build" not in manifest


def test_the_builder_knows_the_weights_that_the_lock_knows() -> None:
    text = mk_hf_model_nix('backend: "vllm"\n').decode()
    assert all(f'"{suffix}"' in text for suffix in WEIGHT_SUFFIXES)
    assert text.startswith(WRITTEN) and "@" not in text and '    backend: "vllm"\n' in text
