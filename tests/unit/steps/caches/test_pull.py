"""Pulling from a cache that means harm, or from several; a large self-contained tree by its parts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from tests.corpus import read_tree
from tests.daemon_stores import chroot_store
from tests.embedded_stores import NEEDS_NIX
from tests.memory_store import MemoryStore
from tests.nar_objects import described, flat, packed
from tests.recording import recording

from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import Error, HubError, IntegrityError, PolicyError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Store
from hf_pack.steps.caches.pull import Brought, bring
from hf_pack.steps.caches.pull_partial import Only, pull_partial
from hf_pack.steps.quiet import QUIET
from hf_pack.steps.trust.trust import Trust
from hf_pack.wiring import open_storage

WEIGHTS = os.urandom(3 << 20)
SMALL = [b"one" * 1000, b"two" * 1000]
STORES: dict[str, Callable[[Path], Store]] = {
    "memory": MemoryStore,
    "embedded": EmbeddedStore,
    "daemon": chroot_store,
}


@pytest.fixture(params=["memory", "embedded", pytest.param("daemon", marks=NEEDS_NIX)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path / "store")


def cache(place: Path | str) -> BinaryCache:
    return BinaryCache(open_storage(str(place) if isinstance(place, str) else f"file://{place}"))


def put(directory: Path, info: NarInfo, data: bytes, *, compress: bool = False) -> NarInfo:
    """Put an object into the cache in a directory, as it is described."""
    if compress:
        info = replace(info, compression="zstd", url=f"{info.url}.zst")
        data = zstandard.compress(data)
    (directory / "nar").mkdir(parents=True, exist_ok=True)
    (directory / info.url).write_bytes(data)
    (directory / f"{info.store_path.digest}.narinfo").write_text(info.format())
    return info


def linked(directory: Path, *, compress: bool = False) -> tuple[NarInfo, list[NarInfo]]:
    """A tree and its two blobs."""
    blobs = []
    for index, contents in enumerate(SMALL):
        info, data = flat(f"w{index}.safetensors", contents)
        blobs.append(put(directory, info, data, compress=compress))
    tree = nar.directory({b"config.json": nar.NarFile(b"{}")})
    info = described("model-1", tree, references=[blob.store_path for blob in blobs])
    return put(directory, info, packed(tree), compress=compress), blobs


def pull(path: StorePath, store: Store, *places: Path | str, keys: tuple[SecretKey, ...] = ()) -> Brought:
    with store.session():
        trusted = [key.public_key() for key in keys]
        return bring([path], [cache(place) for place in places], store, QUIET, trusted_keys=trusted)


def self_contained(*, weights: bytes = WEIGHTS * 6, stated: bytes | None = None) -> nar.NarDirectory:
    """A tree with its weights in it, larger than what is streamed; its provenance states the sha256 of ``stated``."""
    files = [
        {"path": "model.safetensors", "size": len(weights), "sha256": Hash.sha256_of(stated or weights).hex()},
        {"path": "sub/large.bin", "size": len(WEIGHTS), "sha256": Hash.sha256_of(WEIGHTS).hex()},
    ]
    snapshot = nar.directory(
        {
            b"config.json": nar.NarFile(b"{}"),
            b"model.safetensors": nar.NarFile(weights),
            b"sub": nar.directory({b"large.bin": nar.NarFile(WEIGHTS), b"link": nar.NarSymlink(b"../config.json")}),
        }
    )
    provenance = nar.NarFile(json.dumps({"files": files}).encode())
    return nar.directory(
        {
            b"share": nar.directory(
                {
                    b"models": nar.directory({b"m": nar.directory({b"weights": snapshot})}),
                    b"model": nar.directory({b"hf-pack.json": provenance}),
                }
            )
        }
    )


@pytest.mark.parametrize("compress", [False, True])
def test_a_package_comes_with_all_that_it_refers_to(compress: bool, store: Store, tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "cache", compress=compress)
    brought = pull(tree.store_path, store, tmp_path / "cache")
    assert brought.objects == 3
    for info in (tree, *blobs):
        assert store.check(info.store_path, QUIET) == ()
    assert pull(tree.store_path, store, tmp_path / "cache").objects == 0


def test_a_large_self_contained_tree_comes_by_its_parts_and_goes_on(store: Store, tmp_path: Path) -> None:
    tree = self_contained()
    info = put(tmp_path / "cache", described("model-1", tree), packed(tree))
    with recording(tmp_path / "cache") as server:
        server.gate = lambda path, total: total < 10 << 20
        with pytest.raises(Error):
            pull(info.store_path, store, server.url)
        assert store.path_info(info.store_path) is None
        server.gate = lambda path, total: True
        server.clear()
        brought = pull(info.store_path, store, server.url)
        # The memory store keeps what arrived too: what was here is not sent again.
        assert server.total < info.nar_size - (8 << 20)
        assert brought.bytes_received < info.nar_size - (8 << 20)
    assert read_tree(store.real_path(info.store_path)) == tree
    assert store.check(info.store_path, QUIET) == ()


def test_files_of_a_self_contained_tree_are_links_to_its_blobs(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    tree = self_contained()
    info = put(tmp_path / "cache", described("model-1", tree), packed(tree))
    pull(info.store_path, store, tmp_path / "cache")
    weights = store.real_path(info.store_path) / "share/models/m/weights/model.safetensors"
    assert weights.stat().st_nlink == 2
    (found,) = store.named("model.safetensors")
    assert store.real_path(found).samefile(weights)


def test_a_tree_that_states_other_hashes_than_it_has_is_refused(store: Store, tmp_path: Path) -> None:
    tree = self_contained(stated=b"other")
    info = put(tmp_path / "cache", described("model-1", tree), packed(tree))
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        pull(info.store_path, store, tmp_path / "cache")
    assert store.path_info(info.store_path) is None


@pytest.mark.parametrize("where", ["weights", "small", "structure"])
def test_a_flipped_byte_in_a_large_tree_is_refused(where: str, store: Store, tmp_path: Path) -> None:
    tree = self_contained()
    data = bytearray(packed(tree))
    position = {"weights": len(data) - (9 << 20), "small": data.index(b"config.json"), "structure": 40}[where]
    data[position] ^= 1
    info = put(tmp_path / "cache", described("model-1", tree), bytes(data))
    with pytest.raises(IntegrityError):
        pull(info.store_path, store, tmp_path / "cache")
    assert store.path_info(info.store_path) is None
    assert not store.real_path(info.store_path).exists()


def test_small_files_of_a_large_tree_are_read_where_they_lie(tmp_path: Path) -> None:
    tree = self_contained()
    info = put(tmp_path / "cache", described("model-1", tree), packed(tree))
    store = MemoryStore(tmp_path / "store")
    with recording(tmp_path / "cache") as server:
        caches, text = [cache(server.url)], str(info.store_path)
        found = pull_partial(text, Only.CONFIG, caches, store, Trust(), QUIET)
        assert server.total < 1 << 20
    assert dict(found.files)["share/models/m/weights/config.json"] == b"{}"
    assert not found.proved
    assert not any(path.endswith((".bin", ".safetensors")) for path, _ in found.files)


def test_another_cache_gives_what_the_first_has_damaged_or_not_at_all(tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "whole")
    linked(tmp_path / "damaged")
    (tmp_path / "damaged" / f"{blobs[0].store_path.digest}.narinfo").unlink()
    (tmp_path / "damaged" / blobs[1].url).write_bytes(packed(nar.NarFile(b"oops" + SMALL[1][4:])))
    store = EmbeddedStore(tmp_path / "store")
    pull(tree.store_path, store, tmp_path / "damaged", tmp_path / "whole")
    assert all(store.check(info.store_path, QUIET) == () for info in (tree, *blobs))


@pytest.mark.parametrize("compress", [False, True])
def test_any_flipped_byte_of_any_file_is_refused_or_has_no_effect(compress: bool, tmp_path: Path) -> None:
    """Whatever ends up valid is what the path says, whichever byte of whichever file of the cache was changed."""
    source = tmp_path / "cache"
    tree, blobs = linked(source, compress=compress)
    expected = {info.store_path for info in (tree, *blobs)}
    refused = 0
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        good = file.read_bytes()
        for position in range(0, len(good), max(1, len(good) // 24)):
            damaged = bytearray(good)
            damaged[position] ^= 0x21
            file.write_bytes(damaged)
            with closing(EmbeddedStore(tmp_path / f"{file.name}-{position}")) as store:
                try:
                    pull(tree.store_path, store, source)
                except Error as error:
                    refused += 1
                    assert any(path.digest in error.message or path.name in error.message for path in expected), (
                        error.message
                    )
                for info in store.all_paths():
                    assert info.store_path in expected
                    assert store.check(info.store_path, QUIET) == ()
        file.write_bytes(good)
    assert refused > 60


def test_a_truncated_object_is_refused(tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "cache")
    for info in (tree, *blobs):
        whole = (tmp_path / "cache" / info.url).read_bytes()
        for left in (0, 50, len(whole) // 2, len(whole) - 1):
            (tmp_path / "cache" / info.url).write_bytes(whole[:left])
            with closing(EmbeddedStore(tmp_path / f"{info.store_path.digest}-{left}")) as store:
                if info is tree or left < len(whole) - 1:  # a blob's trailer is known without asking
                    with pytest.raises(Error):
                        pull(tree.store_path, store, tmp_path / "cache")
                assert store.path_info(tree.store_path) is None or left == len(whole) - 1
        (tmp_path / "cache" / info.url).write_bytes(whole)


def test_a_narinfo_that_ends_early_is_refused_or_has_no_effect(tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "cache")
    expected, refused = {info.store_path for info in (tree, *blobs)}, 0
    for file in sorted((tmp_path / "cache").glob("*.narinfo")):
        whole = file.read_bytes()
        for left in range(0, len(whole), 11):
            file.write_bytes(whole[:left])
            with closing(EmbeddedStore(tmp_path / f"{file.name}-{left}")) as store:
                try:
                    pull(tree.store_path, store, tmp_path / "cache")
                except Error as error:
                    refused += 1
                    assert any(path.digest in error.message for path in expected), error.message
                for info in store.all_paths():
                    assert info.store_path in expected
                    assert store.check(info.store_path, QUIET) == ()
        file.write_bytes(whole)
    assert refused > 60


def test_a_swapped_narinfo_is_refused(store: Store, tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "cache")
    first, second = (tmp_path / "cache" / f"{blob.store_path.digest}.narinfo" for blob in blobs)
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    with pytest.raises(IntegrityError, match="of another object"):
        pull(tree.store_path, store, tmp_path / "cache")
    assert store.all_paths() == ()


def test_a_bomb_is_refused_as_soon_as_it_is_larger_than_it_says(tmp_path: Path) -> None:
    tree = nar.directory({b"a": nar.NarFile(b"x")})
    info = described("model-1", tree)
    put(tmp_path / "cache", info, packed(tree) + bytes(1 << 30), compress=True)
    store = EmbeddedStore(tmp_path / "store")
    with pytest.raises(IntegrityError, match="NarSize"):
        pull(info.store_path, store, tmp_path / "cache")
    assert store.all_paths() == ()


def test_narinfos_that_refer_to_each_other_are_refused(tmp_path: Path) -> None:
    node = nar.NarFile(b"x")
    one, two = (StorePath.parse_base_name(f"{digit * 32}-x") for digit in "01")
    put(tmp_path / "cache", described("x", node, store_path=one, references=[two]), packed(node))
    put(tmp_path / "cache", described("x", node, store_path=two, references=[one]), packed(node))
    with pytest.raises(IntegrityError, match="refers to itself"):
        pull(one, EmbeddedStore(tmp_path / "store"), tmp_path / "cache")


def test_what_needs_a_signature_gets_in_with_a_trusted_one_alone(tmp_path: Path) -> None:
    key = SecretKey.generate(b"k" * 32, "key-1")
    node = nar.NarFile(b"x")
    path = StorePath.parse_base_name(f"{'0' * 32}-x")
    info = described("x", node, store_path=path)
    put(tmp_path / "cache", info.with_signature(key.sign(info.fingerprint())), packed(node))
    store = EmbeddedStore(tmp_path / "store")
    with pytest.raises(PolicyError, match="key-1"):
        pull(path, store, tmp_path / "cache")
    pull(path, store, tmp_path / "cache", keys=(key,))
    assert store.path_info(path) is not None


def test_what_no_cache_has_is_named(store: Store, tmp_path: Path) -> None:
    tree, blobs = linked(tmp_path / "cache")
    (tmp_path / "cache" / f"{blobs[1].store_path.digest}.narinfo").unlink()
    with pytest.raises(HubError, match=f"{blobs[1].store_path.digest}.*is in no cache"):
        pull(tree.store_path, store, tmp_path / "cache")
