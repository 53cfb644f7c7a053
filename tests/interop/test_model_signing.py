"""OpenSSF's own tool verifies our model signatures, and we verify its."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.end_to_end import PATCH, STORAGES, Built, Place, new_place
from tests.models import FINGERPRINT, tiny_model, write_hf_cache
from tests.signers import certified, key_pair, model_signing

EXTRA = {"1_Pooling/config.json": b"{}", "a.b/x.json": b"{}", "a/x.json": b"[]", "naïve 1.json": b"{}"}


def built(home: Path, layout: str = "dual", storage: str = "linked") -> tuple[Place, Built, Path]:
    """A package, and the directory of its model."""
    place = new_place(home)
    made = place.package(tiny_model(shards=2, extra=EXTRA), "tiny", layout=layout, storage=storage)
    return place, made, model_directory(made)


def model_directory(made: Built) -> Path:
    (config,) = (path for path in Path(made.real_path).rglob("config.json") if (path.parent / "README.md").exists())
    return config.parent


SHAPES = [(layout, storage) for layout in ("dual", "single") for storage in STORAGES]


@pytest.mark.parametrize(("layout", "storage"), SHAPES)
def test_keys_both_ways(layout: str, storage: str, tmp_path: Path) -> None:
    place, made, directory = built(tmp_path / "place", layout, storage)
    pair, bundle = key_pair(tmp_path), tmp_path / "theirs.sig"
    assert place.run("sign", "tiny", "--key", pair.private) == f"{place.workspace}/models/tiny.sig\n"
    ours = place.workspace / "models" / "tiny.sig"
    with_key = ("--public_key", pair.public)
    model_signing("verify", "key", directory, "--allow_symlinks", "--signature", ours, *with_key)
    model_signing("sign", "key", directory, "--allow_symlinks", "--signature", bundle, "--private_key", pair.private)
    for name in ("tiny", made.store_path):
        for signature in (ours, bundle):
            assert place.json("verify", name, "--signature", signature, "--trusted-key", pair.public)["ok"]
    other = key_pair(tmp_path, "other")
    said = place.run("verify", "tiny", "--signature", bundle, "--trusted-key", other.public, code=8)
    assert "another key signed it" in said
    assert "whose signature" in place.run("verify", "tiny", "--signature", bundle, code=2)


@pytest.mark.parametrize("storage", STORAGES)
def test_certificates_both_ways(storage: str, tmp_path: Path) -> None:
    place, made, directory = built(tmp_path / "place", storage=storage)
    root = certified(tmp_path, "root", authority=True)
    middle = certified(tmp_path, "middle", root, authority=True)
    leaf = certified(tmp_path, "leaf", middle)
    ours, theirs = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    chain = ("--certificate", leaf.file, "--certificate", middle.file)
    place.run("sign", made.store_path, "--key", leaf.pair.private, *chain, "--output", ours)
    trusting = ("--certificate_chain", root.file)
    model_signing("verify", "certificate", directory, "--allow_symlinks", "--signature", ours, *trusting)
    model_signing(
        *("sign", "certificate", directory, "--allow_symlinks", "--signature", theirs),
        *("--private_key", leaf.pair.private, "--signing_certificate", leaf.file, "--certificate_chain", middle.file),
    )
    for signature in (ours, theirs):
        assert place.json("verify", "tiny", "--signature", signature, "--trusted-key", root.file)["ok"]
    stranger = certified(tmp_path, "stranger", authority=True).file
    assert "does not lead" in place.run("verify", "tiny", "--signature", theirs, "--trusted-key", stranger, code=8)


def test_the_tool_s_statement_and_ours_name_the_same_files_in_the_same_order(tmp_path: Path) -> None:
    place, _, directory = built(tmp_path / "place")
    pair, theirs = key_pair(tmp_path), tmp_path / "theirs.sig"
    place.run("sign", "tiny", "--key", pair.private)
    model_signing("sign", "key", directory, "--allow_symlinks", "--signature", theirs, "--private_key", pair.private)
    one, other = statement(place.workspace / "models" / "tiny.sig"), statement(theirs)
    assert one["subject"][0]["digest"] == other["subject"][0]["digest"]
    assert one["predicate"]["resources"] == other["predicate"]["resources"]


def statement(bundle: Path) -> Any:
    return json.loads(base64.b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]))


@pytest.mark.parametrize("storage", STORAGES)
def test_signing_reads_no_weight(storage: str, tmp_path: Path) -> None:
    place, made, _ = built(tmp_path / "place", storage=storage)
    pair, before, after = key_pair(tmp_path), tmp_path / "before.sig", tmp_path / "after.sig"
    place.run("sign", made.store_path, "--key", pair.private, "--output", before)
    if storage == "linked":
        for path in (place.store / "nix" / "store").glob("*.safetensors"):
            path.chmod(0o644)
            path.unlink()  # what is not there cannot be read
        place.run("sign", made.store_path, "--key", pair.private, "--output", after)
        assert statement(before) == statement(after)
    shutil.rmtree(place.store, onerror=_make_writable)
    place.run("sign", "tiny", "--key", pair.private, "--output", after)
    assert statement(before) == statement(after)


def _make_writable(function: object, path: str, _: object) -> None:
    for one in (Path(path).parent, Path(path)):
        if not one.is_symlink():
            one.chmod(0o755)
    Path(path).unlink() if not Path(path).is_dir() else shutil.rmtree(path, onerror=_make_writable)


def test_other_bytes_are_found_by_both(tmp_path: Path) -> None:
    place, made, directory = built(tmp_path / "place")
    pair = key_pair(tmp_path)
    place.run("sign", "tiny", "--key", pair.private)
    signature = place.workspace / "models" / "tiny.sig"
    place.run("lock", "tiny")
    with (place.workspace / "models" / "tiny.toml").open("a") as manifest:
        manifest.write(PATCH)
    place.run("lock", "tiny")
    other = place.build("tiny")
    found = place.run("verify", other.store_path, "--signature", signature, "--trusted-key", pair.public, code=5)
    assert "all bytes are those of lock and store" in found
    # The tool knows files alone: the package's path is nothing to it.
    said = model_signing(
        *("verify", "key", model_directory(other), "--allow_symlinks", "--signature", signature),
        *("--public_key", pair.public),
        code=1,
    )
    assert "tokenizer_config.json" in said
    theirs = tmp_path / "theirs.sig"
    model_signing("sign", "key", directory, "--allow_symlinks", "--signature", theirs, "--private_key", pair.private)
    command = ("verify", "tiny", "--signature", theirs, "--trusted-key", pair.public)
    (problem,) = json.loads(run_failing(place, command, 5))["bad"]
    assert (problem["path"], problem["problem"]) == ("tokenizer_config.json", "other bytes than were signed")
    assert made.store_path != other.store_path


def run_failing(place: Place, arguments: Sequence[str | Path], code: int) -> str:
    done = subprocess.run(
        place.command(*arguments, "--json"), cwd=place.workspace, env=place.environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_a_signature_by_shards_is_refused_with_the_reason(tmp_path: Path) -> None:
    hashing: Any = import_module("model_signing.hashing")
    signing: Any = import_module("model_signing.signing")
    place, _, directory = built(tmp_path / "place")
    pair, theirs = key_pair(tmp_path), tmp_path / "theirs.sig"
    config = hashing.Config().use_shard_serialization().set_allow_symlinks(True)
    signer = signing.Config().use_elliptic_key_signer(private_key=pair.private).set_hashing_config(config)
    signer.sign(directory, theirs)
    said = place.run("verify", "tiny", "--signature", theirs, "--trusted-key", pair.public, code=8)
    assert "found 'shards' with 'sha256'" in said


def test_provenance_is_signed_and_held_against_the_package(tmp_path: Path) -> None:
    place, made, _ = built(tmp_path / "place")
    pair = key_pair(tmp_path)
    place.run("sign", "tiny", "--key", pair.private, "--provenance")
    signature = place.workspace / "models" / "tiny.provenance.sig"
    assert place.json("verify", made.store_path, "--signature", signature, "--trusted-key", pair.public)["ok"]
    assert statement(signature) == place.json("show", "tiny", "--provenance")
    place.add(write_hf_cache(tmp_path / "other", "acme/other", FINGERPRINT, tiny_model(seed=4)), "other")
    place.build("other")
    assert "1 problem" in place.run("verify", "other", "--signature", signature, "--trusted-key", pair.public, code=5)


def test_a_bill_of_materials_is_valid_and_the_same_each_time(tmp_path: Path) -> None:
    place, made, _ = built(tmp_path / "place")
    for name in ("tiny", made.store_path):
        text = place.run("show", name, "--sbom")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert text == place.run("show", name, "--sbom")
    of_lock, of_object = place.json("show", "tiny", "--sbom"), place.json("show", made.store_path, "--sbom")
    assert of_lock["serialNumber"] == of_object["serialNumber"]
    assert of_lock["components"] == of_object["components"]
