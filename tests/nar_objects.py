"""Store objects as NARs with their narinfos: what a cache sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import ContentAddress, StorePath, path_of_content_address


def packed(node: nar.NarNode) -> bytes:
    return b"".join(nar.dump(node))


def described(
    name: str,
    node: nar.NarNode,
    address: ContentAddress | None = None,
    *,
    references: Iterable[StorePath] = (),
    signatures: tuple[str, ...] = (),
    store_path: StorePath | None = None,
) -> NarInfo:
    """The narinfo of an object: by default recursive, or of ``store_path`` without a content address."""
    nar_hash, nar_size = nar.hash_and_size(node)
    if store_path is None:
        address = address or ContentAddress("recursive", nar_hash)
        store_path = path_of_content_address(name, address, references)
    return NarInfo(
        store_path=store_path,
        nar_hash=nar_hash,
        nar_size=nar_size,
        references=tuple(references),
        content_address=address,
        signatures=signatures,
        url=f"nar/{nar_hash.nix32()}.nar",
    )


def flat(name: str, contents: bytes) -> tuple[NarInfo, bytes]:
    """A blob and its NAR."""
    node = nar.NarFile(contents)
    return described(name, node, ContentAddress("flat", Hash.sha256_of(contents))), packed(node)


def in_pieces(data: bytes, size: int = 1000) -> Iterator[memoryview]:
    """The bytes through one buffer, which is overwritten when the next piece is asked for."""
    buffer = bytearray(size)
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]
        buffer[:] = bytes(size)
