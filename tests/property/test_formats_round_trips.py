from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.format_strategies import (
    content_addresses,
    hashes,
    nar_infos,
    nodes,
    store_paths,
    utf8_nodes,
)

from hf_pack.formats import nar, nix32
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.listing import format_listing, listing_of, listing_of_events, parse_listing
from hf_pack.formats.nar import NarNode, NarOpaqueFile
from hf_pack.formats.nar_reader import parse, read_events
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey, SecretKey
from hf_pack.formats.store_path import (
    ContentAddress,
    StorePath,
    check_name,
    parse_content_address,
    sanitize_name,
)


@given(st.binary())
def test_nix32(data: bytes) -> None:
    text = nix32.encode(data)
    assert len(text) == nix32.encoded_length(len(data))
    assert nix32.decode(text) == data


@given(st.text(nix32.ALPHABET + "eE"))
def test_nix32_text(text: str) -> None:
    try:
        data = nix32.decode(text)
    except FormatError:
        return
    assert nix32.encode(data) == text


@given(hashes)
def test_hash(value: Hash) -> None:
    for text in (value.nix_text(), value.hex_text(), value.sri()):
        assert Hash.parse(text) == value
    for text in (value.hex(), value.nix32(), value.base64()):
        assert Hash.parse(text, value.algorithm) == value


@given(store_paths)
def test_store_path(path: StorePath) -> None:
    assert StorePath.parse(str(path)) == path
    assert StorePath.parse_base_name(path.base_name) == path


@given(content_addresses)
def test_content_address(address: ContentAddress) -> None:
    assert parse_content_address(str(address)) == address


@given(st.text(min_size=1) | st.text(".drv-_ax", min_size=200, max_size=220))
def test_sanitized_names_are_names_and_stay(text: str) -> None:
    name = sanitize_name(text)
    check_name(name)
    assert len(name) <= 207
    assert name[0] not in ".-"
    assert not name.endswith(".drv")
    assert sanitize_name(name) == name


@given(nodes)
def test_nar(node: NarNode) -> None:
    data = b"".join(nar.dump(node))
    assert nar.size(node) == len(data)
    assert nar.hash_and_size(node) == (Hash.sha256_of(data), len(data))
    assert parse(data) == node


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_opaque_files(chunks: list[bytes], executable: bool) -> None:
    contents = b"".join(chunks)
    one = NarOpaqueFile(len(contents), lambda: chunks, executable)
    assert parse(b"".join(nar.dump(one))) == nar.NarFile(contents, executable)


@given(nodes, st.data())
def test_whatever_is_accepted_is_canonical(node: NarNode, data: st.DataObject) -> None:
    whole = bytearray(b"".join(nar.dump(node)))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        read = parse(bytes(whole))
    except FormatError:
        return
    assert b"".join(nar.dump(read)) == whole


@given(st.binary())
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@given(utf8_nodes)
def test_listing(node: NarNode) -> None:
    listing = listing_of(node)
    events = read_events(io.BytesIO(b"".join(nar.dump(node))).read)
    assert listing_of_events(events) == listing
    assert parse_listing(format_listing(listing)) == listing


@given(nar_infos)
def test_narinfo(info: NarInfo) -> None:
    assert NarInfo.parse(info.format()) == info
    assert info.with_signature("a:b").signatures == tuple(sorted({*info.signatures, "a:b"}))


@given(st.text() | nar_infos.map(NarInfo.format).map(lambda text: text.replace("1", "")))
def test_narinfo_text(text: str) -> None:
    try:
        info = NarInfo.parse(text)
    except FormatError:
        return
    assert NarInfo.parse(info.format()) == info


@given(st.integers(0, 2**32), st.text())
def test_keys(number: int, text: str) -> None:
    key = SecretKey.generate(hashlib.sha256(str(number).encode()).digest(), "k-1")
    assert SecretKey.parse(key.format()) == key
    assert PublicKey.parse(key.public_key().format()) == key.public_key()
