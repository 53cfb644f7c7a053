"""What is published, real Nix takes: from a directory and from a plain web server, with and without a key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.embedded_stores import NEEDS_NIX, assert_sound, nix
from tests.end_to_end import STORAGES, Place, large_tokenizer, new_place
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

pytestmark = NEEDS_NIX

KEY = "cache.example.org-1"
FILES = tiny_model(shards=3, extra={"tokenizer.json": large_tokenizer()})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Packages of both storages, published to one cache each without and with a key."""
    place = new_place(tmp_path_factory.mktemp("place"))
    source = write_hf_cache(place.home / "source", REPO_ID, COMMIT, FILES)
    place.run("key", "generate", KEY, "--output", place.home)
    for storage in STORAGES:
        place.add(source, storage, storage=storage)
        place.build(storage)
        place.run("publish", storage, "--to", f"file://{place.home}/plain")
        place.run("publish", storage, "--to", f"file://{place.home}/signed", "--sign", place.home / f"{KEY}.secret")
    return place


@pytest.fixture(scope="module")
def web(place: Place) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(place.home)))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def copy(place: Place, url: str, name: str, root: Path, *, key: str = "") -> str:
    """`nix copy` into a fresh store, signatures required; the store path."""
    store_path: str = place.json("path", name)["store_path"]
    trusted = ("--option", "trusted-public-keys", key)
    nix(root, "copy", "--from", url, store_path, "--option", "require-sigs", "true", *trusted, program="nix")
    assert_sound(root)
    return store_path


@pytest.mark.parametrize("name", STORAGES)
def test_from_a_directory_with_signatures_required_and_no_key(place: Place, tmp_path: Path, name: str) -> None:
    store_path = copy(place, f"file://{place.home}/plain", name, tmp_path)
    for query in ("--references", "--hash", "--size", "--requisites"):
        there = nix(tmp_path, "--query", query, store_path)
        assert there == nix(place.store, "--query", query, store_path)
    files = tmp_path / store_path[1:]
    assert (files / f"share/models/hub/models--acme--tiny-llm/snapshots/{COMMIT}/tokenizer.json").read_bytes() == FILES[
        "tokenizer.json"
    ]


@pytest.mark.parametrize("name", STORAGES)
def test_from_a_web_server(place: Place, web: str, tmp_path: Path, name: str) -> None:
    copy(place, f"{web}/plain", name, tmp_path)


def test_a_signature_says_who_published(place: Place, web: str, tmp_path: Path) -> None:
    key = (place.home / f"{KEY}.public").read_text()
    for number, url in enumerate((f"file://{place.home}/signed", f"{web}/signed")):
        root = tmp_path / str(number)
        store_path = copy(place, url, "linked", root, key=key)
        verify = ("store", "verify", "--recursive", "--sigs-needed", "1", store_path)
        nix(root, *verify, "--trusted-public-keys", key, program="nix")
        for info in (place.home / "signed").glob("*.narinfo"):
            assert f"\nSig: {KEY}:" in info.read_text()


def test_a_flipped_byte_is_refused_by_nix(place: Place, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", place.home / "plain", tmp_path / "cache"], check=True)
    for file in (tmp_path / "cache" / "nar").iterdir():
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with pytest.raises(AssertionError, match=r"hash mismatch|corrupt|error"):
        copy(place, f"file://{tmp_path}/cache", "linked", tmp_path / "store")


def test_keys_are_those_of_nix(place: Place, tmp_path: Path) -> None:
    config = {**os.environ, "NIX_CONFIG": "experimental-features = nix-command"}
    secret = (place.home / f"{KEY}.secret").read_text()
    public = subprocess.run(
        ["nix", "key", "convert-secret-to-public"], input=secret, env=config, capture_output=True, text=True, check=True
    ).stdout
    assert public.strip() == (place.home / f"{KEY}.public").read_text()
    assert public.strip() == place.run("key", "show", place.home / f"{KEY}.secret").strip()
    generate = [
        "nix-store",
        "--generate-binary-cache-key",
        "nix-1",
        *(f"{tmp_path}/nix.{kind}" for kind in ("secret", "public")),
    ]
    subprocess.run(generate, env=config, check=True)
    assert place.run("key", "show", tmp_path / "nix.secret").strip() == (tmp_path / "nix.public").read_text().strip()
    for kind, mode in (("secret", 0o600), ("public", 0o644)):
        assert (place.home / f"{KEY}.{kind}").stat().st_mode & 0o777 == mode
    assert "is there already" in place.run("key", "generate", KEY, "--output", place.home, code=2)


def test_nix_adds_to_the_same_cache(place: Place, tmp_path: Path) -> None:
    """Both write one cache: what Nix put there is not sent again."""
    store_path = place.json("path", "linked")["store_path"]
    cache = f"file://{tmp_path}/cache"
    nix(place.store, "copy", "--to", f"{cache}?compression=xz", store_path, program="nix")
    (shipped,) = place.json("publish", "linked", "--to", cache)
    assert (shipped["objects_sent"], shipped["bytes_sent"]) == (0, 0)
    assert f"linked@{store_path.rpartition('linked-')[2]}" in place.run("search", "--from", cache)
    copy(place, cache, "linked", tmp_path / "store")


def test_from_the_machines_store_as_from_an_embedded_one(place: Place, tmp_path: Path) -> None:
    """The same store, through Nix's own protocol: the same cache, byte for byte."""
    for store, name in ((str(place.store), "embedded"), ("daemon", "machine")):
        store_path = place.json("path", "linked")["store_path"]
        environment = {"NIX_REMOTE": str(place.store), "NIX_CONFIG": "build-users-group =\nsubstituters =\n"}
        place.run("publish", store_path, "--store", store, "--to", f"file://{tmp_path}/{name}", env=environment)
    subprocess.run(["diff", "-r", tmp_path / "embedded", tmp_path / "machine"], check=True)
