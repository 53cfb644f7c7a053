"""A model signature travels with a package, and a policy says whether one is demanded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.embedded_stores import nix
from tests.end_to_end import Built, Place, new_place
from tests.models import tiny_model
from tests.registries import NEEDS_REGISTRY, NEEDS_SKOPEO, registry, tool
from tests.signers import KeyPair, certified, key_pair, model_signing


def signature_in(place: Place, built: Built) -> Path:
    digest = built.store_path.removeprefix("/nix/store/")[:32]
    return place.home / "cache" / "hf-pack" / f"{digest}.sig.json"


def published(tmp_path: Path, pair: KeyPair) -> tuple[Place, Built, Built, str]:
    """A publisher with two packages, of which the first is signed."""
    place = new_place(tmp_path / "publisher")
    url = f"file://{place.home}/cache"
    signed, unsigned = place.package(tiny_model(), "signed"), place.package(tiny_model(seed=3), "unsigned")
    place.run("sign", "signed", "--key", pair.private)
    for name in ("signed", "unsigned"):
        place.run("publish", name, "--to", url)
    return place, signed, unsigned, url


def box(home: Path, policy: str = "") -> Place:
    place = new_place(home)
    (place.workspace / "hf-pack.toml").write_text(policy)
    return place


def test_a_policy_takes_what_a_trusted_key_signed_and_nothing_else(tmp_path: Path) -> None:
    pair, stranger = key_pair(tmp_path), key_pair(tmp_path, "stranger")
    place, signed, unsigned, url = published(tmp_path, pair)
    other = box(tmp_path / "box", '[policy]\nsignatures = "enforce"\ntrusted_keys = ["keys/publisher.pub"]\n')
    (other.workspace / "keys").mkdir()
    shutil.copy(pair.public, other.workspace / "keys" / "publisher.pub")
    found = other.json("pull", "signed", "--from", url)
    assert [(one["store_path"], one["signed"]) for one in found["packages"]] == [(signed.store_path, True)]
    assert other.run("pull", signed.store_path, "--from", url) == f"{signed.store_path}\n"
    for name in ("unsigned", unsigned.store_path):
        assert "no model signature is there" in other.run("pull", name, "--from", url, code=8)
    # The bundle of one package vouches for no other, though the same key signed it.
    shutil.copy(signature_in(place, signed), signature_in(place, unsigned))
    for name in ("unsigned", unsigned.store_path):
        assert "of something else" in other.run("pull", name, "--from", url, code=8)
    assert [row["store_path"] for row in other.json("list")] == [signed.store_path]
    third = box(tmp_path / "third")
    demanding = ("--from", url, "--signatures", "enforce")
    assert "no key is trusted" in third.run("pull", "signed", *demanding, code=2)
    said = third.run("pull", "signed", *demanding, "--trusted-key", stranger.public, code=8)
    assert "another key signed it" in said and str(stranger.public) in said
    # A pulled package is held against the bundle that the cache has.
    bundle = signature_in(place, signed)
    assert other.json("verify", signed.store_path, "--signature", bundle)["ok"]


def test_off_says_nothing_and_warn_says_whose_word_a_name_is(tmp_path: Path) -> None:
    pair = key_pair(tmp_path)
    _, signed, unsigned, url = published(tmp_path, pair)
    trusting = ("--trusted-key", str(pair.public))
    for name, policy, note in (
        ("unsigned", "warn", True),
        ("unsigned", "off", False),
        ("signed", "warn", False),
        ("signed", "off", False),
    ):
        other = box(tmp_path / f"{name}-{policy}", f'[policy]\nsignatures = "{policy}"\n')
        process = other.start("pull", name, "--from", url, *trusting)
        out, err = process.communicate()
        assert out == f"{(signed if name == 'signed' else unsigned).store_path}\n", err
        assert ("the word of" in err) == note, err


def test_certificates_are_trusted_by_whom_they_lead_to(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True)
    leaf = certified(tmp_path, "leaf", root)
    place = new_place(tmp_path / "publisher")
    built = place.package(tiny_model(), "signed")
    bundle = tmp_path / "bundle.sig"
    place.run("sign", built.store_path, "--key", leaf.pair.private, "--certificate", leaf.file, "--output", bundle)
    url = f"file://{place.home}/cache"
    place.run("publish", built.store_path, "--to", url, "--signature", bundle)
    other = box(tmp_path / "box")
    demanding = ("--from", url, "--signatures", "enforce", "--trusted-key", root.file)
    assert other.run("pull", "signed", *demanding) == f"{built.store_path}\n"


def test_a_signature_of_an_earlier_build_is_not_published(tmp_path: Path) -> None:
    pair = key_pair(tmp_path)
    place, signed, _, url = published(tmp_path, pair)
    place.run("bump", "signed", "-m", "Second.")
    second = place.build("signed")
    said = place.run("publish", "signed", "--to", url, code=8)
    assert signed.store_path in said and second.store_path in said
    assert not signature_in(place, second).exists()
    place.run("sign", "signed", "--key", pair.private)
    place.run("publish", "signed", "--to", url)
    other = box(tmp_path / "box")
    demanding = ("--from", url, "--signatures", "enforce", "--trusted-key", pair.public)
    assert other.run("pull", "signed", *demanding) == f"{second.store_path}\n"
    # Where only the older build is signed, it is the newest that may be taken.
    signature_in(place, second).unlink()
    third = box(tmp_path / "third")
    assert third.run("pull", "signed", *demanding) == f"{signed.store_path}\n"


def test_an_oci_layout_gives_no_name_that_nobody_signed_where_signatures_are_demanded(tmp_path: Path) -> None:
    place = new_place(tmp_path / "place")
    pair, stranger = key_pair(tmp_path), key_pair(tmp_path, "stranger")
    built, layout = place.package(tiny_model(), "tiny"), tmp_path / "layout"
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout)
    policy = f'[policy]\nsignatures = "enforce"\ntrusted_keys = {json.dumps([str(pair.public)])}\n'
    other = box(tmp_path / "box", policy)
    source = ("--from", f"oci-layout:{layout}:{built.store_name.replace('+', '_')}")
    for more in ((), ("--only", "config", "--output", "out")):
        assert "no model signature is there" in other.run("pull", *source, *more, code=8)
    assert "hold no signatures" in other.run("pull", *source, "--output", "out", code=8)
    place.run("sign", "tiny", "--key", stranger.private)
    place.run("export", "tiny", "--to", "oci-layout", "--output", layout)
    assert "another key signed it" in other.run("pull", *source, code=8)
    assert other.json("list") == [] and not (other.workspace / "out").exists()
    assert other.run("pull", built.store_path, *source) == f"{built.store_path}\n"


@NEEDS_REGISTRY
@NEEDS_SKOPEO
def test_a_registry_gives_the_signature_that_was_published_with_a_package(tmp_path: Path) -> None:
    pair = key_pair(tmp_path)
    place = new_place(tmp_path / "place")
    signed, unsigned = place.package(tiny_model(), "signed"), place.package(tiny_model(seed=3), "unsigned")
    bundle = tmp_path / "bundle.sig"
    place.run("sign", signed.store_path, "--key", pair.private, "--output", bundle)
    with registry(tmp_path / "registry") as server:
        to = ("--to", server.url("models", "signed"))
        place.run("publish", "signed", *to, "--signature", bundle)
        version = ("--to", server.url("models"))
        place.run("publish", "signed", *version, "--signature", bundle, "--as", "modelpack")
        (again,) = place.json("publish", "signed", *version, "--as", "image")  # by somebody without the signature
        assert again["manifests"].keys() == {"linux/amd64", "linux/arm64"}
        place.run("publish", "unsigned", "--to", server.url("models", "unsigned"))
        assert "is not the signature of what is published" in place.run(
            "publish", "unsigned", "--to", server.url("models", "unsigned"), "--signature", bundle, code=8
        )
        demanding = ("--signatures", "enforce", "--trusted-key", pair.public)
        for tag in ("signed", again["tag"]):
            other = box(tmp_path / f"box-{tag}")
            (found,) = other.json("pull", "--from", server.url("models", tag), *demanding)["packages"]
            assert (found["store_path"], found["signed"]) == (signed.store_path, True)
        refused = other.run("pull", "--from", server.url("models", "unsigned"), *demanding, code=8)
        assert f"no trusted key signed {unsigned.store_path}" in refused
        # What copies all of it, copies the signature.
        tool(
            *("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false"),
            *(f"docker://{server.address}/models:signed", f"oci:{tmp_path}/copied:it"),
        )
    third = box(tmp_path / "third")
    assert third.run("pull", "--from", f"oci-layout:{tmp_path}/copied:it", *demanding) == f"{signed.store_path}\n"
    process = box(tmp_path / "fourth").start("pull", "--from", f"oci-layout:{tmp_path}/copied:it")
    assert "is the word of" in process.communicate()[1]


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")
def test_a_package_that_lies_about_its_files_is_found_out(tmp_path: Path) -> None:
    """``hf-pack.json`` states the signed hashes, and the files are others."""
    pair = key_pair(tmp_path)
    place = new_place(tmp_path / "place")
    honest = place.package(tiny_model(), "honest")
    place.run("sign", "honest", "--key", pair.private, "--output", tmp_path / "ours.sig")
    directory = next(Path(honest.real_path).rglob("snapshots/*"))
    theirs = tmp_path / "theirs.sig"
    model_signing("sign", "key", directory, "--allow_symlinks", "--signature", theirs, "--private_key", pair.private)
    forged = tmp_path / "forged"
    shutil.copytree(honest.real_path, forged, symlinks=False)
    for path in (forged, *forged.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (weights,) = forged.rglob("snapshots/*/model.safetensors")
    contents = bytearray(weights.read_bytes())
    contents[-1] ^= 1
    weights.write_bytes(contents)
    lying = nix(place.store, "--add", str(forged)).strip()
    assert place.json("verify", lying)["ok"]  # all its bytes are those that were added
    said = place.run("verify", lying, "--signature", theirs, "--trusted-key", pair.public, code=5)
    assert "1 problem" in said
    assert place.json("verify", honest.store_path, "--signature", theirs, "--trusted-key", pair.public)["ok"]
