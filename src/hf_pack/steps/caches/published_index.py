"""The entries of a cache and its index: written so that publishers at the same time lose nobody's entry."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from hf_pack.errors import HubError, PolicyError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import StorePath
from hf_pack.model import published
from hf_pack.model.document import Problems
from hf_pack.model.published import Published, index_key, is_entry_key, pname_of, version_prefix
from hf_pack.ports import ObjectStorage
from hf_pack.side_by_side import all_side_by_side

_ROUNDS = 20  #: of reading back; each one needs another publisher that wrote in between
_READERS = 16
_MOST = 64 << 20  #: bytes of an index: some 70,000 versions


def refuse_second_content(entry: Published, storage: ObjectStorage) -> None:
    """Raises PolicyError when the cache has this version with another content."""
    others = sorted(set(_paths_of(entry, storage)) - {entry.store_path})
    if others:
        raise PolicyError(
            f"{entry.pname}@{entry.version} names another content in {storage.name} already\n"
            f"  there: {others[0]}\n  here:  {entry.store_path}",
            hint="a version never changes what it names: hf-pack bump, build, and publish that",
        )


def write_entry(entry: Published, storage: ObjectStorage) -> Published:
    """Make the entry be there; one that is keeps what it says, and gets the signatures that it has not."""
    if storage.put(entry.key, entry.format(), replace=False):
        return entry
    there = _read_entry(entry.key, storage)
    if there is None or there.fingerprint() != entry.fingerprint():
        # Written by another hf-pack, whose words may differ; the store path is the same, so it is as true.
        return there or entry
    signed = there.with_signatures(entry.signatures)
    if signed != there:
        storage.put(entry.key, signed.format())
    return signed


def write_index(entry: Published, storage: ObjectStorage) -> None:
    """Make the indexes hold this entry and all that are there.

    Whoever writes one reads it back after that, and writes again until it has every entry that the cache lists: of
    publishers at the same time the last one to write sees the entries of all. Where a cache cannot list, what its
    index has is kept.
    """
    for pname in (entry.pname, None):
        key = index_key(pname)
        for _ in range(_ROUNDS):
            wanted = {one.key: one for one in _index(key, storage)} | {entry.key: entry}
            listed = storage.keys(key.removesuffix("index.json"))
            if listed is not None:
                entries = {one for one in listed if is_entry_key(one)}
                fresh = {one for one in entries if one not in wanted or pname_of(one) == entry.pname}
                wanted = {one: known for one, known in wanted.items() if one in entries} | _read_all(fresh, storage)
            contents = published.format_index(wanted.values())
            if storage.small(key, _MOST) == contents:
                break
            storage.put(key, contents)
        else:
            raise HubError(f"{storage.name}: {key} changes again and again", hint="publish it again: nothing is lost")


def read_index(storage: ObjectStorage, pname: str | None = None) -> tuple[Published, ...]:
    """The entries of a cache, or of one pname in it. Raises HubError for an index that is damaged."""
    key = index_key(pname)
    text = storage.small(key, _MOST)
    if text is None:
        return ()
    try:
        return published.parse_index(text)
    except Problems as error:
        raise HubError(f"{storage.name}: {key} is damaged: {error.problems[0]}") from None


def _index(key: str, storage: ObjectStorage) -> tuple[Published, ...]:
    """What an index has; nothing of a damaged one, which is made anew."""
    text = storage.small(key, _MOST)
    try:
        return () if text is None else published.parse_index(text)
    except Problems:
        return ()


def _paths_of(entry: Published, storage: ObjectStorage) -> Iterable[StorePath]:
    """The store paths that the version names in the cache."""
    listed = storage.keys(version_prefix(entry.pname, entry.version))
    if listed is None:
        return [one.store_path for one in _index(index_key(entry.pname), storage) if one.version == entry.version]
    paths = []
    for key in listed:
        digest = key.rpartition("/")[2].removesuffix(".json")
        try:
            paths.append(StorePath(digest, f"{entry.pname}-{entry.version}"))
        except FormatError:
            continue  # nobody's entry
    return paths


def _read_all(keys: Iterable[str], storage: ObjectStorage) -> dict[str, Published]:
    wanted = sorted(keys)
    found = all_side_by_side([partial(_read_entry, key, storage) for key in wanted], _READERS)
    return {key: entry for key, entry in zip(wanted, found, strict=True) if entry is not None}


def _read_entry(key: str, storage: ObjectStorage) -> Published | None:
    """None for what is gone, damaged, or of a form that a newer hf-pack wrote."""
    text = storage.small(key)
    try:
        entry = None if text is None else published.parse(text)
    except Problems:
        return None
    return entry if entry is not None and entry.key == key else None
