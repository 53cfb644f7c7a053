"""Caches that mean harm, or have what is not read: what real Nix writes is in the interop tests."""

from __future__ import annotations

import bz2
import gzip
import http.server
import lzma
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard
from tests.memory_store import MemoryStore

from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.adapters.object_storage.opening import open_storage
from hf_pack.errors import HubError, IntegrityError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.ports import WantedBlob
from hf_pack.steps.quiet import QUIET

CONTENTS = bytes(range(256)) * 4096 * 2
BLOB = Blob(name="model.safetensors", sha256=Hash.sha256_of(CONTENTS), size=len(CONTENTS))
WANTED = WantedBlob(blob=BLOB, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path="model.safetensors")
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"xz": lzma.compress, "bzip2": bz2.compress, "gzip": gzip.compress}
COMPRESSORS["zstd"] = zstandard.compress


def packed(after: bytes = b"") -> bytes:
    return nar.file_header(len(CONTENTS)) + CONTENTS + after


def new_cache(directory: Path, data: bytes, compression: str, *, url: str = "nar/x") -> str:
    (directory / "nar").mkdir(parents=True)
    (directory / "nar" / "x").write_bytes(data)
    info = NarInfo(
        store_path=BLOB.store_path,
        nar_hash=Hash.sha256_of(b""),
        nar_size=nar.file_size(BLOB.size),
        url=url,
        compression=compression,
    )
    (directory / f"{BLOB.store_path.digest}.narinfo").write_text(info.format())
    return f"file://{directory}"


def fetched(url: str, directory: Path) -> bytes:
    store = MemoryStore(directory)
    with store.receive(BLOB) as reception:
        assert reception is not None
        assert BinaryCache(open_storage(url, where="--from")).fetch(WANTED, reception, QUIET)
        reception.finish()
    return store.read(BLOB.store_path)


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_bomb_costs_no_memory(compression: str, tmp_path: Path) -> None:
    """A few kilobytes that stand for 64 MiB behind the file: what is beyond it is not decompressed."""
    bomb = COMPRESSORS[compression](packed(bytes(64 << 20)))
    url = new_cache(tmp_path / "cache", bomb, compression)
    tracemalloc.start()
    try:
        assert fetched(url, tmp_path) == CONTENTS
        assert tracemalloc.get_traced_memory()[1] < 24 << 20  # xz's dictionary is 8 MiB
    finally:
        tracemalloc.stop()


def test_xz_that_asks_for_a_huge_dictionary_is_refused(tmp_path: Path) -> None:
    # The compressor would take as much itself: the block header's size byte is changed instead, and its checksum.
    data = bytearray(lzma.compress(packed(), preset=0))
    header = data[12 : 12 + 4 * (data[12] + 1)]
    assert header[2:4] == b"\x21\x01"
    header[4] = 34  # 2**29 bytes, by the xz format's section 5.3.1
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    data[12 : 12 + len(header)] = header
    with pytest.raises(IntegrityError, match=r"nar/x of .* is damaged: Memory usage limit exceeded"):
        fetched(new_cache(tmp_path / "cache", bytes(data), "xz"), tmp_path)


def test_a_stream_without_end_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    header = b"\x1f\x8b\x08\x08" + bytes(6)  # RFC 1952, 2.3: with a file name, whose end is a zero
    endless = header + b"x" * (8 << 20)
    with pytest.raises(IntegrityError, match="longer than what it holds"):
        fetched(new_cache(tmp_path / "cache", endless, "gzip"), tmp_path)


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_what_ends_early_or_is_damaged(compression: str, tmp_path: Path) -> None:
    whole = COMPRESSORS[compression](packed())
    with pytest.raises(IntegrityError, match=r"nar/x of .* ends early"):
        fetched(new_cache(tmp_path / "short", whole[:-1000], compression), tmp_path)
    with pytest.raises(IntegrityError, match=r"nar/x of .* is damaged"):
        fetched(new_cache(tmp_path / "other", packed(), compression), tmp_path)


def test_a_compression_that_is_not_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="expected none, zstd, xz, bzip2, gzip, found lz4"):
        fetched(new_cache(tmp_path / "cache", b"", "lz4"), tmp_path)


@dataclass
class Served:
    url: str
    asked: list[str]


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("leads", ["{}/x", "{}/cache/../x", "//127.0.0.1/x", "../x", "/x", "http://[", "file:///etc/x"])
def test_a_narinfo_leads_nowhere_but_into_its_cache(leads: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(packed())
    with serving(tmp_path) as other, serving(tmp_path) as mine:
        new_cache(tmp_path / "cache", packed(), "none", url=leads.format(other.url))
        with pytest.raises(HubError, match="a narinfo leads out of the cache") as caught:
            fetched(f"{mine.url}/cache", tmp_path)
    assert f"  {mine.url}/cache: " in caught.value.message
    assert other.asked == []
    assert [path.endswith(".narinfo") for path in mine.asked] == [True]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://me:secret@cache.example:8080/a?key=secret", "http://cache.example:8080/a"),
        ("https://cache.example", "https://cache.example"),
        ("https://[::1]:5000/", "https://[::1]:5000/"),
        ("file:///srv/cache", "file:///srv/cache"),
    ],
)
def test_its_name_says_the_port_and_no_secret(url: str, name: str) -> None:
    assert BinaryCache(open_storage(url, where="--from")).name == name
