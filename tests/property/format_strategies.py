"""Arbitrary values of the formats."""

from __future__ import annotations

from hypothesis import strategies as st

from hf_pack.formats import nix32
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.nar import NarFile, NarNode, NarSymlink, directory
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import ContentAddress, StorePath

_NAME_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+._?=-"

hashes = st.sampled_from(HashAlgorithm).flatmap(
    lambda algorithm: st.builds(
        Hash, st.just(algorithm), st.binary(min_size=algorithm.digest_size, max_size=algorithm.digest_size)
    )
)
sha256s = st.builds(Hash.sha256_of, st.binary(max_size=8))
store_names = st.text(_NAME_CHARACTERS, min_size=1, max_size=211).map(lambda name: "a" + name[1:])
store_paths = st.builds(StorePath, st.binary(min_size=20, max_size=20).map(nix32.encode), store_names)
content_addresses = st.one_of(
    st.builds(ContentAddress, st.sampled_from(["flat", "recursive"]), hashes),
    st.builds(ContentAddress, st.just("text"), sha256s),
)

_words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_sizes = st.integers(min_value=1, max_value=2**63 - 1)
nar_infos = st.builds(
    NarInfo,
    store_path=store_paths,
    nar_hash=sha256s,
    nar_size=_sizes,
    references=st.lists(store_paths, max_size=3).map(tuple),
    signatures=st.lists(st.builds("{}:{}".format, _words, _words), max_size=3).map(tuple),
    content_address=st.none() | content_addresses,
    url=_words,
    compression=_words,
    file_hash=st.none() | hashes,
    file_size=st.none() | _sizes,
    deriver=st.none() | store_paths,
)


def _nodes(names: st.SearchStrategy[bytes], targets: st.SearchStrategy[bytes]) -> st.SearchStrategy[NarNode]:
    leaves: st.SearchStrategy[NarNode] = st.one_of(
        st.builds(NarFile, st.binary(max_size=40), st.booleans()), st.builds(NarSymlink, targets)
    )
    return st.recursive(
        leaves,
        lambda children: st.dictionaries(names, children, max_size=4).map(directory),
        max_leaves=12,
    )


_byte_names = st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in (b".", b"..") and b"/" not in name and b"\0" not in name and b"~nix~case~hack~" not in name
)
_text_names = (
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=10)
    .filter(lambda name: name not in (".", "..") and "~nix~case~hack~" not in name)
    .map(str.encode)
)
nodes = _nodes(_byte_names, st.binary(min_size=1, max_size=20).filter(lambda target: b"\0" not in target))
utf8_nodes = _nodes(_text_names, _text_names)
