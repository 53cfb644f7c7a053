"""Objects that come as NARs into every store: what proves them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpus import TREES, read_tree
from tests.daemon_stores import chroot_store
from tests.embedded_stores import NEEDS_NIX, Quiet, assert_sound
from tests.memory_store import MemoryStore
from tests.nar_objects import described, flat, in_pieces, packed
from tests.spec.malformed_nars import MALFORMED_NARS, MalformedNar

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import Error, IntegrityError, PolicyError, StoreError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import ContentAddress, StorePath, recursive_path
from hf_pack.ports import Store

KEY = SecretKey.generate(b"k" * 32, "key-1")
TREE = nar.directory({b"a": nar.NarFile(b"x" * 5000), b"b": nar.NarSymlink(b"a")})
UNSIGNED = StorePath.parse_base_name(f"{'0' * 32}-input-addressed")


@pytest.fixture(params=["memory", "embedded", pytest.param("daemon", marks=NEEDS_NIX)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    stores: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(tmp_path / "memory"),
        "embedded": lambda: EmbeddedStore(tmp_path / "embedded"),
        "daemon": lambda: chroot_store(tmp_path / "daemon"),
    }
    return stores[request.param]()


def assert_refused(store: Store, info: NarInfo, data: bytes, kind: type[Error] = IntegrityError) -> None:
    with pytest.raises(kind, match=info.store_path.digest):
        store.add_object(info, in_pieces(data))
    assert store.path_info(info.store_path) is None
    assert not store.real_path(info.store_path).exists()


@pytest.mark.parametrize("name", TREES)
def test_every_tree_arrives_as_it_was(name: str, store: Store) -> None:
    node = TREES[name]
    info = described("tree", node)
    store.add_object(info, in_pieces(packed(node)))
    assert read_tree(store.real_path(info.store_path)) == node
    assert store.check(info.store_path, Quiet()) == ()
    found = store.path_info(info.store_path)
    assert found is not None
    assert (found.nar_hash, found.nar_size) == (info.nar_hash, info.nar_size)
    assert found.content_address == str(info.content_address)


@pytest.mark.parametrize(
    "address",
    [
        ContentAddress("flat", Hash.sha256_of(b"text")),
        ContentAddress("flat", Hash.parse("sha1:372ea08cab33e71c02c651dbc83a474d32c676ea")),
        ContentAddress("text", Hash.sha256_of(b"text")),
    ],
    ids=str,
)
def test_a_file_arrives_by_every_kind_of_address(address: ContentAddress, store: Store) -> None:
    info = described("file", nar.NarFile(b"text"), address)
    store.add_object(info, in_pieces(packed(nar.NarFile(b"text"))))
    assert store.real_path(info.store_path).read_bytes() == b"text"
    wrong = described("file-2", nar.NarFile(b"test"), address)
    assert_refused(store, wrong, packed(nar.NarFile(b"test")))


def test_what_it_refers_to_is_valid_before(store: Store) -> None:
    blob, blob_nar = flat("model.safetensors", b"weights")
    tree = described("tree", TREE, references=[blob.store_path])
    assert_refused(store, tree, packed(TREE), StoreError)
    store.add_object(blob, in_pieces(blob_nar))
    store.add_object(tree, in_pieces(packed(TREE)))
    found = store.path_info(tree.store_path)
    assert found is not None
    assert found.references == (blob.store_path,)


def test_what_is_there_is_not_read(store: Store) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    info = described("tree", TREE)
    store.add_object(info, in_pieces(packed(TREE)))
    store.add_object(info, never())


@pytest.mark.parametrize("position", range(0, len(packed(TREE)), 97))
def test_a_flipped_byte_is_refused(position: int, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    data = bytearray(packed(TREE))
    data[position] ^= 1
    assert_refused(store, described("tree", TREE), bytes(data))


def test_damage_is_refused_by_every_store(store: Store) -> None:
    info, data = described("tree", TREE), packed(TREE)
    for damaged in (data[:-1], data[:-8], data + b"\0", data[:200], b"", bytes([*data[:-200], 1, *data[-199:]])):
        assert_refused(store, info, damaged)
    store.add_object(info, in_pieces(data))
    assert read_tree(store.real_path(info.store_path)) == TREE


@pytest.mark.parametrize("malformed", MALFORMED_NARS, ids=lambda one: one.name)
def test_a_nar_that_nix_would_not_write_is_refused_though_its_hashes_fit(malformed: MalformedNar, store: Store) -> None:
    """Names that lead out of the object, entries out of order or twice, padding, nesting: whatever the narinfo says."""
    nar_hash = Hash.sha256_of(malformed.data)
    info = replace(
        described("tree", TREE),
        store_path=recursive_path("tree", nar_hash),
        nar_hash=nar_hash,
        nar_size=len(malformed.data) or 1,
        content_address=ContentAddress("recursive", nar_hash),
    )
    assert_refused(store, info, malformed.data)


def test_a_stream_that_does_not_end_is_left(store: Store) -> None:
    info, data = described("tree", TREE), packed(TREE)
    given = 0

    def endless() -> Iterator[bytes]:
        nonlocal given
        yield data
        while True:
            given += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(IntegrityError, match="NarSize"):
        store.add_object(info, endless())
    assert given <= 2 << 20


def test_a_file_larger_than_the_nar_may_be_is_refused_before_its_bytes(store: Store) -> None:
    info = described("file", nar.NarFile(b"small"))
    with pytest.raises(IntegrityError, match="NarSize"):
        store.add_object(info, iter([nar.file_header(1 << 40)]))


def test_an_executable_file_has_no_flat_address(store: Store) -> None:
    node = nar.NarFile(b"x", executable=True)
    info = described("x", node, ContentAddress("flat", Hash.sha256_of(b"x")))
    assert_refused(store, info, packed(node))


def test_an_address_that_is_another_object_s_is_refused(store: Store) -> None:
    info = replace(described("tree", TREE), content_address=ContentAddress("recursive", Hash.sha256_of(b"other")))
    assert_refused(store, info, packed(TREE))
    swapped = replace(described("tree", TREE), store_path=described("tree", nar.NarFile(b"")).store_path)
    assert_refused(store, swapped, packed(TREE))


def test_what_is_not_content_addressed_needs_a_trusted_signature(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    unsigned = described("", TREE, store_path=UNSIGNED)
    signed = unsigned.with_signature(KEY.sign(unsigned.fingerprint()))
    other = SecretKey.generate(b"o" * 32, "key-1")
    forged = unsigned.with_signature(other.sign(unsigned.fingerprint()))
    for info in (unsigned, signed):
        assert_refused(store, info, packed(TREE), PolicyError)
    with pytest.raises(PolicyError, match="key-1"):
        store.add_object(forged, in_pieces(packed(TREE)), trusted_keys=[KEY.public_key()])
    store.add_object(signed, in_pieces(packed(TREE)), trusted_keys=[KEY.public_key()])
    found = store.path_info(UNSIGNED)
    assert found is not None
    assert found.signatures == signed.signatures


@pytest.mark.nix
@pytest.mark.skipif("not __import__('shutil').which('nix-daemon')", reason="needs nix-daemon")
def test_the_machine_s_store_trusts_whom_nix_trusts(tmp_path: Path) -> None:
    store = chroot_store(tmp_path / "daemon")
    unsigned = described("", TREE, store_path=UNSIGNED)
    with pytest.raises(StoreError, match=r"lacks a (valid signature|signature by a trusted key)") as caught:
        store.add_object(unsigned, in_pieces(packed(TREE)), trusted_keys=[KEY.public_key()])
    assert "trusted-public-keys" in caught.value.hint
    assert store.path_info(UNSIGNED) is None


def test_a_damaged_object_is_replaced(store: Store) -> None:
    info, data = described("tree", TREE), packed(TREE)
    store.add_object(info, in_pieces(data))
    damaged = store.real_path(info.store_path) / "a"
    damaged.chmod(0o644)
    damaged.write_bytes(b"y" * 5000)
    assert store.check(info.store_path, Quiet()) != ()
    with pytest.raises(IntegrityError):
        store.add_object(info, in_pieces(data[:-1] + b"\1"), repair=True)
    store.add_object(info, in_pieces(data), repair=True)
    assert store.check(info.store_path, Quiet()) == ()


@pytest.mark.nix
@pytest.mark.skipif("not __import__('shutil').which('nix-store')", reason="needs nix-store")
def test_nix_finds_the_embedded_store_sound(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "store")
    blob, blob_nar = flat("model.safetensors", b"weights" * 1000)
    store.add_object(blob, in_pieces(blob_nar))
    for name, node in TREES.items():
        store.add_object(described(name, node, references=[blob.store_path]), in_pieces(packed(node)))
    sha1 = Hash.parse("sha1:372ea08cab33e71c02c651dbc83a474d32c676ea", HashAlgorithm.SHA1)
    store.add_object(described("t", nar.NarFile(b"text"), ContentAddress("flat", sha1)), [packed(nar.NarFile(b"text"))])
    store.close()
    assert_sound(tmp_path / "store")
