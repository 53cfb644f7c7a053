"""The Hub's own library reads a package, offline, as a user that can write nothing in it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.end_to_end import (
    STORAGES,
    Built,
    Place,
    fingerprint,
    large_tokenizer,
    new_place,
    new_reader,
    open_directory,
)
from tests.models import COMMIT, FINGERPRINT, OTHER_COMMIT, REPO_ID, tiny_model, write_hf_cache

pytestmark = pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="needs huggingface_hub")

READ = Path(__file__).parent / "scripts" / "read_hub.py"
ASK_MOVED = Path(__file__).parent / "scripts" / "ask_moved_hub.py"
FILES = tiny_model(shards=2, extra={"tokenizer.json": large_tokenizer(), "chat/説明.json": b"{}"})
PACKAGED = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items() if path != ".gitattributes"}


@pytest.fixture
def place() -> Iterator[Place]:
    with open_directory() as home:
        yield new_place(home)


def _hub(built: Built) -> Path:
    return Path(built.real_path, "share", "models", "hub")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("layout", ["dual", "hf"])
def test_the_library_reads_it_and_writes_nothing(place: Place, layout: str, storage: str) -> None:
    built = place.package(FILES, "tiny", layout=layout, storage=storage)
    before = fingerprint(place.store)
    reader = new_reader(place.home / "reader", built)
    done = reader.python(READ, REPO_ID, COMMIT, "model-00002-of-00002.safetensors", HF_HUB_OFFLINE="1")
    found = json.loads(done.stdout)
    snapshot = _hub(built) / "models--acme--tiny-llm" / "snapshots" / COMMIT
    assert found["snapshot"] == found["plain"] == found["by_commit"] == str(snapshot)
    file = str(snapshot / "model-00002-of-00002.safetensors")
    assert found["download"] == found["download_by_commit"] == found["cached"] == file
    assert found["files"] == PACKAGED
    assert found["scan_warnings"] == []
    assert found["scan"] == [[REPO_ID, "model", COMMIT, ["main"], len(PACKAGED)]]
    assert done.stderr == ""
    assert fingerprint(place.store) == before
    assert list((place.home / "reader").iterdir()) == []


def test_a_quantizers_snapshot_is_found_as_main(place: Place) -> None:
    source = write_hf_cache(place.home / "cache", REPO_ID, FINGERPRINT, FILES, "files")
    place.add(source, "tiny")
    built = place.build("tiny")
    reader = new_reader(place.home / "reader", built)
    done = reader.python(READ, REPO_ID, "main", "config.json", HF_HUB_OFFLINE="1")
    found = json.loads(done.stdout)
    assert found["snapshot"].endswith(f"/snapshots/{FINGERPRINT}")
    assert (found["files"], found["scan_warnings"]) == (PACKAGED, [])


@pytest.mark.parametrize("storage", STORAGES)
def test_a_newline_in_the_ref_does_not_verify(place: Place, storage: str) -> None:
    built = place.package(FILES, "tiny", storage=storage)
    place.run("verify", "tiny")
    ref = _hub(built) / "models--acme--tiny-llm" / "refs" / "main"
    assert ref.read_bytes() == COMMIT.encode()
    ref.chmod(0o644)
    ref.write_bytes(COMMIT.encode() + b"\n")
    ref.chmod(0o444)
    place.run("verify", "tiny", code=5)
    reader = new_reader(place.home / "reader", built)
    done = reader.python(READ, REPO_ID, COMMIT, "config.json", check=False, HF_HUB_OFFLINE="1")
    assert "LocalEntryNotFoundError" in done.stderr
    place.run("verify", "tiny", "--repair")
    assert ref.read_bytes() == COMMIT.encode()


class _Moved(BaseHTTPRequestHandler):
    """A Hub on which ``main`` is another commit than the packaged one."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "/revision/" in path:
            self._answer(200, {"id": REPO_ID, "sha": OTHER_COMMIT, "siblings": []})
        elif "/tree/" in path:
            blob = {"type": "file", "path": "config.json", "size": 2, "oid": "0" * 40}
            self._answer(200, [blob])
        elif "/resolve/" in path:
            self._answer(200, {})
        else:
            self._answer(404, {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{"0" * 40}"')
        self.send_header("X-Repo-Commit", OTHER_COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _moved_hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Moved)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_upstream_that_moved_changes_nothing(place: Place) -> None:
    built = place.package(FILES, "tiny", layout="hf")
    before = fingerprint(place.store)
    with _moved_hub() as endpoint:
        reader = new_reader(place.home / "reader", built)
        online = reader.python(ASK_MOVED, REPO_ID, "config.json", HF_ENDPOINT=endpoint)
        offline = reader.python(ASK_MOVED, REPO_ID, "config.json", HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")
    # Why HF_HUB_OFFLINE=1 belongs beside HF_HUB_CACHE.
    assert online.stdout.splitlines() == ["snapshot PermissionError", "file PermissionError"]
    assert offline.stdout.splitlines() == ["snapshot ok", "file ok"]
    assert fingerprint(place.store) == before
    place.run("verify", "tiny")
