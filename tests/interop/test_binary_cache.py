"""Blobs from binary caches that real Nix wrote, by file and by HTTP, with and without ranges."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.embedded_stores import add_bytes, assert_sound, nix

from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.adapters.object_storage.opening import open_storage
from hf_pack.errors import HubError, IntegrityError
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.ports import WantedBlob
from hf_pack.steps.quiet import QUIET

pytestmark = pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")

CONTENTS = bytes(range(256)) * 4099 + b"the end"


class _Handler(http.server.SimpleHTTPRequestHandler):
    ranges = True
    break_after: int | None = None

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, status = path.read_bytes(), 200
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        if asked and self.ranges:
            first, _, last = asked.partition("-")
            data, status = data[int(first) : int(last) + 1 if last else None], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if self.break_after is None else data[: self.break_after])

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(directory: Path, **attributes: object) -> Iterator[str]:
    handler = type("Handler", (_Handler,), attributes)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module", params=["none", "xz", "bzip2", "gzip"])
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Blob]:
    """A cache with one blob, written by `nix copy`."""
    root = tmp_path_factory.mktemp("cache")
    blob = add_bytes(EmbeddedStore(root / "store"), root, "model.safetensors", CONTENTS).blob
    target = f"file://{root / 'cache'}?compression={request.param}"
    nix(root / "store", "copy", "--to", target, str(blob.store_path), program="nix")
    return root / "cache", blob


def receive(url: str, blob: Blob, root: Path) -> EmbeddedStore:
    store = EmbeddedStore(root)
    wanted = WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path=blob.name)
    with store.receive(blob) as reception:
        assert reception is not None
        assert BinaryCache(open_storage(url, where="--from")).fetch(wanted, reception, QUIET)
        reception.finish()
    return store


def test_by_file(cache: tuple[Path, Blob], tmp_path: Path) -> None:
    directory, blob = cache
    store = receive(f"file://{directory}", blob, tmp_path)
    assert store.read(blob.store_path) == CONTENTS
    assert_sound(tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
def test_by_http(cache: tuple[Path, Blob], tmp_path: Path, ranges: bool) -> None:
    directory, blob = cache
    with serving(directory, ranges=ranges) as url:
        assert receive(url, blob, tmp_path).read(blob.store_path) == CONTENTS


def test_a_connection_that_breaks_again_and_again(cache: tuple[Path, Blob], tmp_path: Path) -> None:
    directory, blob = cache
    with serving(directory, break_after=300_000) as url:
        assert receive(url, blob, tmp_path).read(blob.store_path) == CONTENTS


def test_what_it_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    blob = add_bytes(EmbeddedStore(tmp_path / "a"), tmp_path, "model.safetensors", b"x").blob
    wanted = WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path="model.safetensors")
    with EmbeddedStore(tmp_path / "b").receive(blob) as reception:
        assert reception is not None
        assert not BinaryCache(open_storage(f"file://{tmp_path / 'cache'}", where="--from")).fetch(
            wanted, reception, QUIET
        )
        with serving(tmp_path / "cache") as url:
            assert not BinaryCache(open_storage(url, where="--from")).fetch(wanted, reception, QUIET)


def test_damage_is_refused(cache: tuple[Path, Blob], tmp_path: Path) -> None:
    directory, blob = cache
    damaged = tmp_path / "cache"
    shutil.copytree(directory, damaged)
    nar = next((damaged / "nar").iterdir())
    data = bytearray(nar.read_bytes())
    data[len(data) // 2] ^= 1
    nar.chmod(0o644)
    nar.write_bytes(data)
    with pytest.raises((IntegrityError, HubError)):
        receive(f"file://{damaged}", blob, tmp_path / "store")
    assert EmbeddedStore(tmp_path / "store").path_info(blob.store_path) is None
