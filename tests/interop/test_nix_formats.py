"""The formats against real Nix, in stores of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.corpus import TREES, read_tree, write_tree
from tests.spec.malformed_nars import MALFORMED_NARS, MalformedNar

from hf_pack.formats import nar
from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.listing import format_listing, listing_of, parse_listing
from hf_pack.formats.nar import NarFile, NarNode
from hf_pack.formats.nar_reader import parse
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey, SecretKey
from hf_pack.formats.store_path import (
    ContentAddress,
    StorePath,
    flat_path,
    path_of_content_address,
    recursive_content_address,
    recursive_path,
    sanitize_name,
    text_path,
)

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store"),
]

trees = pytest.mark.parametrize("name", TREES)


@dataclass(frozen=True, slots=True)
class Nix:
    """Real Nix with an empty store under ``root``."""

    root: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return os.environ | {
            "HOME": str(self.root),
            "NIX_CONFIG": "experimental-features = nix-command flakes\n"
            "build-users-group =\nsandbox = false\nsubstituters =\n",
        }

    @property
    def store(self) -> str:
        return str(self.root / "store")

    def run(self, *command: str | Path, stdin: bytes = b"") -> bytes:
        done = subprocess.run(command, input=stdin, capture_output=True, env=self.environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def line(self, *command: str | Path, stdin: bytes = b"") -> str:
        return self.run(*command, stdin=stdin).decode().strip()


@pytest.fixture
def nix(tmp_path: Path) -> Nix:
    return Nix(tmp_path / "nix")


def dumped(tree: NarNode) -> bytes:
    return b"".join(nar.dump(tree))


@trees
def test_dump_and_restore(name: str, nix: Nix, tmp_path: Path) -> None:
    tree = TREES[name]
    path = write_tree(tree, tmp_path / "tree")
    theirs = nix.run("nix-store", "--dump", path)
    assert dumped(tree) == theirs
    assert parse(theirs) == tree
    nix.run("nix-store", "--restore", tmp_path / "restored", stdin=dumped(tree))
    assert read_tree(tmp_path / "restored") == tree


@trees
def test_added_tree(name: str, nix: Nix, tmp_path: Path) -> None:
    tree = TREES[name]
    path = write_tree(tree, tmp_path / sanitize_name(name))
    nar_hash, nar_size = nar.hash_and_size(tree)
    expected = recursive_path(name, nar_hash)
    assert nix.line("nix-store", "--store", nix.store, "--add", path) == str(expected)
    added = nix.line("nix-store", "--store", nix.store, "--add-fixed", "--recursive", "sha256", path)
    assert added == str(expected)
    assert nix.line("nix", "store", "add-path", "--store", nix.store, path) == str(expected)
    document = json.loads(nix.run("nix", "path-info", "--store", nix.store, "--json", str(expected)))
    # Newer Nix gives them by path.
    infos = document if isinstance(document, dict) else {info["path"]: info for info in document}
    assert list(infos) == [str(expected)]
    info = infos[str(expected)]
    assert info["narHash"] == nar_hash.sri()
    assert info["narSize"] == nar_size
    assert info["ca"] == recursive_content_address(nar_hash)


@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_added_by_every_algorithm(algorithm: HashAlgorithm, nix: Nix, tmp_path: Path) -> None:
    path = write_tree(NarFile(b"weights", executable=True), tmp_path / "model.safetensors")
    hexadecimal = nix.line("nix-hash", "--flat", "--type", algorithm, path)
    flat = ContentAddress("flat", Hash.parse(hexadecimal, algorithm))
    added = nix.line("nix-store", "--store", nix.store, "--add-fixed", algorithm, path)
    assert added == str(path_of_content_address(path.name, flat))
    hexadecimal = nix.line("nix-hash", "--type", algorithm, path)
    recursive = ContentAddress("recursive", Hash.parse(hexadecimal, algorithm))
    added = nix.line("nix-store", "--store", nix.store, "--add-fixed", "--recursive", algorithm, path)
    assert added == str(path_of_content_address(path.name, recursive))


@pytest.mark.parametrize(
    "file_name", ["model.safetensors", ".gitattributes", "a b.txt", "é", "x.drv", "-a", "n" * 300, "+=?_."]
)
def test_fetchurl_takes_the_sanitized_name(file_name: str, nix: Nix) -> None:
    name, content_hash = sanitize_name(file_name), Hash.sha256_of(b"weights")
    expression = (
        f'(derivation {{ name = "{name}"; system = "builtin"; builder = "builtin:fetchurl"; '
        f'outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "{content_hash.hex()}"; '
        'url = "http://localhost/"; }).outPath'
    )
    evaluated = nix.line("nix-instantiate", "--store", nix.store, "--eval", "-E", expression)
    assert evaluated == f'"{flat_path(name, content_hash)}"'


@pytest.mark.parametrize("algorithm", HashAlgorithm)
def test_hash_text_forms(algorithm: HashAlgorithm, nix: Nix, tmp_path: Path) -> None:
    path = write_tree(NarFile(b"hello\n"), tmp_path / "file")
    ours = Hash.parse(nix.line("nix-hash", "--flat", "--type", algorithm, path), algorithm)
    assert nix.line("nix-hash", "--flat", "--base32", "--type", algorithm, path) == ours.nix32()
    assert nix.line("nix-hash", "--to-base16", "--type", algorithm, ours.nix32()) == ours.hex()
    assert nix.line("nix-hash", "--to-base32", "--type", algorithm, ours.hex()) == ours.nix32()
    assert nix.line("nix", "hash", "file", "--type", algorithm, path) == ours.sri()
    for text in (ours.nix_text(), ours.hex_text(), ours.sri(), f"{algorithm}:{ours.base64()}"):
        assert Hash.parse(text) == ours
        assert nix.line("nix", "hash", "to-sri", text) == ours.sri()
        assert nix.line("nix", "hash", "to-base16", text) == ours.hex()
        assert nix.line("nix", "hash", "to-base32", text) == ours.nix32()
        assert nix.line("nix", "hash", "to-base64", text) == ours.base64()


@pytest.mark.parametrize("case", MALFORMED_NARS, ids=lambda case: case.name)
def test_malformed_nar(case: MalformedNar, nix: Nix, tmp_path: Path) -> None:
    done = subprocess.run(
        ["nix-store", "--restore", str(tmp_path / "restored")],
        input=case.data,
        capture_output=True,
        env=nix.environment,
        check=False,
    )
    if case.nix_accepts and b" 2.8." not in nix.run("nix-store", "--version"):
        pytest.skip("what Nix 2.8 accepts, another version may refuse")
    assert (done.returncode == 0) == case.nix_accepts, done.stderr.decode()


@pytest.mark.parametrize("name", [name for name in TREES if name != "links" and "awkward" not in name])
def test_listing(name: str, nix: Nix, tmp_path: Path) -> None:
    path = write_tree(TREES[name], tmp_path / name)
    added = StorePath.parse(nix.line("nix-store", "--store", nix.store, "--add", path))
    cache = f"file://{tmp_path}/cache?compression=none&write-nar-listing=true"
    nix.run("nix", "copy", "--from", nix.store, "--to", cache, str(added))
    theirs = (tmp_path / "cache" / f"{added.digest}.ls").read_text()
    assert parse_listing(theirs) == listing_of(TREES[name])
    # Versions of Nix differ in the order of keys.
    assert json.loads(format_listing(listing_of(TREES[name]))) == json.loads(theirs)


def test_narinfo_that_nix_wrote_and_signed(nix: Nix, tmp_path: Path) -> None:
    secret = nix.line("nix", "key", "generate-secret", "--key-name", "cache.example.org-1")
    key = SecretKey.parse(secret)
    assert key.format() == secret
    public = nix.line("nix", "key", "convert-secret-to-public", stdin=secret.encode())
    assert key.public_key() == PublicKey.parse(public)
    (tmp_path / "key").write_text(key.format())

    path = write_tree(TREES["model"], tmp_path / "model")
    added = nix.line("nix-store", "--store", nix.store, "--add", path)
    nix.run("nix", "store", "sign", "--store", nix.store, "--key-file", tmp_path / "key", added)
    nix.run("nix", "copy", "--from", nix.store, "--to", f"file://{tmp_path}/cache", added)
    text = (tmp_path / "cache" / f"{StorePath.parse(added).digest}.narinfo").read_text()
    info = NarInfo.parse(text)
    assert info.format() == text
    assert info.content_address_holds()
    assert (info.nar_hash, info.nar_size) == nar.hash_and_size(TREES["model"])
    assert info.signatures == (key.sign(info.fingerprint()),)
    assert key.public_key().verify(info.fingerprint(), info.signatures[0])


def _publish(cache: Path, path: StorePath, tree: NarNode, references: tuple[StorePath, ...]) -> NarInfo:
    nar_hash, nar_size = nar.hash_and_size(tree)
    url = f"nar/{nar_hash.nix32()}.nar"
    info = NarInfo(store_path=path, nar_hash=nar_hash, nar_size=nar_size, references=references, url=url)
    (cache / "nar").mkdir(parents=True, exist_ok=True)
    (cache / "nix-cache-info").write_text(CacheInfo(want_mass_query=True, priority=40).format())
    (cache / url).write_bytes(dumped(tree))
    (cache / f"{path.digest}.narinfo").write_text(info.format())
    return info


def test_nix_trusts_our_signature(nix: Nix, tmp_path: Path) -> None:
    key = SecretKey.generate(bytes(range(32)), "cache.example.org-1")
    path = StorePath("0" * 32, "named-by-nobody")
    info = _publish(tmp_path / "cache", path, NarFile(b"hello\n"), ())
    copy = ["nix", "copy", "--from", f"file://{tmp_path}/cache", "--to", nix.store, str(path)]
    refused = subprocess.run(copy, capture_output=True, env=nix.environment, check=False)
    assert refused.returncode != 0
    signed = info.with_signature(key.sign(info.fingerprint()))
    (tmp_path / "cache" / f"{path.digest}.narinfo").write_text(signed.format())
    shutil.rmtree(nix.root)  # Nix remembers narinfo files
    nix.run(*copy, "--option", "trusted-public-keys", key.public_key().format())
    assert nix.line("nix", "store", "cat", "--store", nix.store, str(path)) == "hello"


def test_nix_rewrites_to_the_content_addressed_paths_we_compute(nix: Nix, tmp_path: Path) -> None:
    plain = text_path("plain.txt", Hash.sha256_of(b"hello\n"))
    itself = StorePath("0" * 32, "refers-1.0")
    _publish(tmp_path / "cache", plain, NarFile(b"hello\n"), ())
    _publish(tmp_path / "cache", itself, NarFile(f"{plain} {itself}\n".encode()), (plain, itself))
    cache = f"file://{tmp_path}/cache"
    nix.run("nix", "copy", "--no-check-sigs", "--from", cache, "--to", nix.store, str(itself))
    nix.run("nix", "store", "make-content-addressed", "--store", nix.store, str(itself))
    nix.run("nix", "copy", "--all", "--no-check-sigs", "--from", nix.store, "--to", f"{cache}-2")
    infos = [NarInfo.parse(file.read_text()) for file in (tmp_path / "cache-2").glob("*.narinfo")]
    addressed = {info.store_path.name: info for info in infos if info.content_address is not None}
    assert addressed.keys() == {"plain.txt", "refers-1.0"}
    assert all(info.content_address_holds() for info in addressed.values())
    assert addressed["refers-1.0"].references == tuple(sorted(info.store_path for info in addressed.values()))
