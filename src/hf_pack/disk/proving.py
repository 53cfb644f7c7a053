"""What an object on disk is, from its bytes and its name alone: a content-addressed path proves itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from hf_pack.disk.object_hash import FileOnDisk, hash_flat, node_of
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import ContentAddress, StorePath, path_of_content_address
from hf_pack.model.path_info import PathInfo

_DIGEST = re.compile(rb"[0-9a-df-np-sv-z]{32}")
_MOST_SEARCHED = 1 << 20  #: bytes of a file that is searched for references; ours stand in links


def proved(
    real_path: Path, store_path: StorePath, neighbours: Mapping[str, StorePath], progress: Callable[[int], None]
) -> tuple[PathInfo | None, Hash]:
    """The facts that the object's content proves, and its NAR hash; None for facts that need a witness.

    ``neighbours`` are the objects that it may refer to, by digest. Every byte is read. Raises OSError and FormatError
    as :func:`hf_pack.disk.object_hash.hash_tree` does.
    """
    node = node_of(real_path, progress)
    flat: Hash | None = None
    if isinstance(node, FileOnDisk) and not node.executable:
        hashed = hash_flat(real_path, progress)
        flat, nar_hash, nar_size = hashed.sha256, hashed.nar_hash, nar.file_size(hashed.size)
    else:
        nar_hash, nar_size = nar.hash_and_size(node)
    for address, references in _claims(node, flat, nar_hash, store_path, neighbours):
        if path_of_content_address(store_path.name, address, references) == store_path:
            info = PathInfo(
                store_path=store_path,
                nar_hash=nar_hash,
                nar_size=nar_size,
                references=references,
                content_address=str(address),
            )
            return info, nar_hash
    return None, nar_hash


def _claims(
    node: nar.NarNode, flat: Hash | None, nar_hash: Hash, store_path: StorePath, neighbours: Mapping[str, StorePath]
) -> Iterator[tuple[ContentAddress, tuple[StorePath, ...]]]:
    """What it may be: a flat blob, a tree that refers to what its links lead to, or to all that it mentions."""
    if flat is not None:
        yield ContentAddress("flat", flat), ()
    for texts in (_targets(node), chain(_targets(node), _small_files(node))):
        found = {neighbours[digest] for digest in _digests(texts) if digest in neighbours}
        references = tuple(sorted(found - {store_path}))
        yield ContentAddress("recursive", nar_hash), references
        if flat is not None:
            yield ContentAddress("text", flat), references


def _digests(texts: Iterable[bytes]) -> Iterator[str]:
    for text in texts:
        start = 0
        while match := _DIGEST.search(text, start):
            yield match[0].decode()
            start = match.start() + 1  # a digest may begin inside what looks like one


def _targets(node: nar.NarNode) -> Iterator[bytes]:
    for item in _nodes(node):
        if isinstance(item, nar.NarSymlink):
            yield item.target


def _small_files(node: nar.NarNode) -> Iterator[bytes]:
    for item in _nodes(node):
        if isinstance(item, FileOnDisk) and item.size <= _MOST_SEARCHED:
            yield item.path.read_bytes()


def _nodes(node: nar.NarNode) -> Iterator[nar.NarNode]:
    rest = [node]
    while rest:
        item = rest.pop()
        yield item
        if isinstance(item, nar.NarDirectory):
            rest += (child for _name, child in item.entries)
