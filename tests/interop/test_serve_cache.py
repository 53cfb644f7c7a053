"""An embedded store served over HTTP: what stock Nix and plain clients get from it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from tests.bench import Bench
from tests.embedded_stores import NEEDS_NIX, Quiet, add_bytes, assert_sound, linked_plan, nix, self_contained_plan
from tests.models import COMMIT, REPO_ID, tiny_model, write_hf_cache

from hf_pack.adapters.cache_server import CacheServer
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.errors import UsageError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.published import parse_index
from hf_pack.steps.caches.serve_cache import StoreAsCache

CONTENTS = bytes(range(256)) * 9000 + b"the end"
KEY = SecretKey.generate(bytes(range(32)), "test-1")


@contextmanager
def serving(store: EmbeddedStore, *keys: SecretKey) -> Iterator[str]:
    with CacheServer("127.0.0.1", 0, StoreAsCache(store=store, keys=keys).look_up) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    return EmbeddedStore(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def blob(store: EmbeddedStore) -> StorePath:
    return add_bytes(store, store.root.parent / "source", "model.safetensors", CONTENTS).blob.store_path


@pytest.fixture(scope="module")
def trees(store: EmbeddedStore) -> tuple[StorePath, StorePath]:
    added = add_bytes(store, store.root.parent / "source", "model.safetensors", CONTENTS).blob
    linked = store.add_tree(linked_plan("linked", [added]), Quiet()).info.store_path
    return linked, store.add_tree(self_contained_plan("whole", [added]), Quiet()).info.store_path


@pytest.fixture(scope="module")
def url(store: EmbeddedStore, trees: tuple[StorePath, StorePath]) -> Iterator[str]:
    with serving(store) as url:
        yield url


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False)


def narinfo_of(url: str, store_path: StorePath) -> NarInfo:
    return NarInfo.parse(get(f"{url}/{store_path.digest}.narinfo").data.decode())


def test_the_nar_of_a_blob_is_a_header_the_file_and_a_trailer(url: str, blob: StorePath) -> None:
    info = narinfo_of(url, blob)
    assert info.content_address_holds()
    answer = get(f"{url}/{info.url}")
    assert answer.data == nar.file_header(len(CONTENTS)) + CONTENTS + nar.file_trailer(len(CONTENTS))
    assert (Hash.sha256_of(answer.data), len(answer.data)) == (info.nar_hash, info.nar_size)


@pytest.mark.parametrize(
    ("asked", "offset", "size"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=90-110", 90, 21),
        ("bytes=96-", 96, None),
        ("bytes=-20", -20, None),
        ("bytes=100-99999999999", 100, None),
    ],
)
def test_a_range_is_that_part_of_the_nar(url: str, blob: StorePath, asked: str, offset: int, size: int | None) -> None:
    info = narinfo_of(url, blob)
    whole = get(f"{url}/{info.url}").data
    answer = get(f"{url}/{info.url}", Range=asked)
    expected = whole[offset:] if size is None else whole[offset : offset + size]
    begin = offset % len(whole)
    assert (answer.status, answer.data) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(whole)}"


@pytest.mark.parametrize(("asked", "status"), [("bytes=99999999-", 416), ("bytes=2-1", 200), ("lines=1-2", 200)])
def test_a_range_that_is_none(url: str, blob: StorePath, asked: str, status: int) -> None:
    assert get(f"{url}/{narinfo_of(url, blob).url}", Range=asked).status == status


@pytest.mark.parametrize(
    "key",
    [
        "",
        "index.html",
        "../secret",
        "%2e%2e/%2e%2e/etc/passwd",
        f"{'0' * 32}.narinfo",
        f"nar/{'0' * 32}-{'0' * 52}.nar",
        "nar/x.nar",
    ],
)
def test_there_is_nothing_else(url: str, key: str) -> None:
    answer = get(f"{url}/{key}")
    assert (answer.status, answer.data) == (404, b"")


def test_a_nar_of_another_hash_is_not_there(url: str, blob: StorePath) -> None:
    assert get(f"{url}/nar/{blob.digest}-{'0' * 52}.nar").status == 404


def test_head_says_the_size_and_sends_nothing(url: str, blob: StorePath) -> None:
    info = narinfo_of(url, blob)
    answer = urllib3.request("HEAD", f"{url}/{info.url}", retries=False)
    assert (answer.status, answer.headers["Content-Length"], answer.data) == (200, str(info.nar_size), b"")


def test_nothing_can_be_written(url: str) -> None:
    assert urllib3.request("PUT", f"{url}/x", body=b"x", retries=False).status == 501


def test_narinfos_are_signed_with_the_keys_that_are_given(store: EmbeddedStore, blob: StorePath) -> None:
    with serving(store, KEY) as url:
        info = narinfo_of(url, blob)
    assert KEY.public_key().verify(info.fingerprint(), info.signatures[0])


def test_an_address_that_is_taken_is_refused(store: EmbeddedStore) -> None:
    with serving(store) as url, pytest.raises(UsageError, match="cannot listen"):
        CacheServer("127.0.0.1", int(url.rpartition(":")[2]), StoreAsCache(store=store).look_up)


@pytest.mark.nix
@NEEDS_NIX[1]
def test_stock_nix_copies_linked_and_whole_packages(
    url: str, store: EmbeddedStore, trees: tuple[StorePath, StorePath], tmp_path: Path
) -> None:
    for tree in trees:
        options = ("--option", "require-sigs", "true", "--option", "trusted-public-keys", "")
        nix(tmp_path, "copy", "--from", url, str(tree), *options, program="nix")
        copied, served = EmbeddedStore(tmp_path).path_info(tree), store.path_info(tree)
        assert copied is not None and served is not None
        assert (copied.nar_hash, copied.references) == (served.nar_hash, served.references)
        assert copied.content_address == served.content_address
    assert_sound(tmp_path)


def test_the_command_says_where_and_ends_when_interrupted(store: EmbeddedStore, blob: StorePath) -> None:
    command = [sys.executable, "-m", "hf_pack", "serve-cache", "--listen", "127.0.0.1:0", "--store", str(store.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert get(f"{url}/nix-cache-info").data.decode().startswith("StoreDir: /nix/store\n")
        assert narinfo_of(url, blob).store_path == blob
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said


@pytest.mark.parametrize("listen", ["8501", ":8501", "host:", "host:port", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_a_usage_error(store: EmbeddedStore, listen: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hf_pack", "serve-cache", "--listen", listen, "--store", str(store.root)],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 2
    assert "--listen" in done.stderr and "hint:" in done.stderr


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_hf_cache(tmp_path / "cache", REPO_ID, COMMIT, tiny_model())
    made = Bench(tmp_path, WorkspaceOnDisk.create(tmp_path / "workspace"), EmbeddedStore(tmp_path / "store"))
    made.add(tmp_path / "cache")
    made.build("tiny-llm")
    return made


def hf_pack(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    return subprocess.run(
        [sys.executable, "-m", "hf_pack", *arguments], capture_output=True, text=True, cwd=home, env=environment
    )


def test_a_neighbour_finds_and_pulls_a_package_by_its_name(bench: Bench, tmp_path: Path) -> None:
    assert isinstance(bench.store, EmbeddedStore)
    with serving(bench.store, KEY) as url:
        found = hf_pack("search", "--from", url, "--json", home=tmp_path)
        assert found.returncode == 0, found.stderr
        assert [entry["pname"] for entry in json.loads(found.stdout)] == ["tiny-llm"]
        pulled = hf_pack(
            *("pull", "tiny-llm", "--from", url, "--store", str(tmp_path / "neighbour")),
            *("--signatures", "enforce", "--trusted-key", KEY.public_key().format()),
            home=tmp_path,
        )
    assert pulled.returncode == 0, pulled.stderr
    built = bench.load("tiny-llm").plan.store_path()
    assert pulled.stdout.strip() == str(built)
    verified = hf_pack("verify", str(built), "--store", str(tmp_path / "neighbour"), home=tmp_path)
    assert verified.returncode == 0, verified.stderr


def test_the_index_of_a_name_that_is_not_there_is_not_there(bench: Bench) -> None:
    view = StoreAsCache(store=bench.store)
    assert view.look_up("hf-pack/other/index.json") is None
    whole = view.look_up("hf-pack/index.json")
    assert whole is not None and view.look_up("hf-pack/tiny-llm/index.json") == whole


@pytest.mark.parametrize("name", ["share/tiny-llm/hf-pack.json", "config.json"])
def test_a_package_that_cannot_be_read_is_not_offered(bench: Bench, name: str) -> None:
    assert isinstance(bench.store, EmbeddedStore)
    view = StoreAsCache(store=bench.store)
    place = bench.store.real_path(bench.targets("tiny-llm")[0].store_path)
    damaged = next(path for path in place.rglob("*.json") if path.as_posix().endswith(f"/{name}"))
    damaged.chmod(0o644)
    damaged.write_text("{")
    index = view.look_up("hf-pack/index.json")
    assert isinstance(index, bytes) and parse_index(index) == ()
