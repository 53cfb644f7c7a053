"""Search: which published versions of the caches' indexes hold the words of a text."""

from __future__ import annotations

from collections.abc import Sequence

from hf_pack.model.published import Published
from hf_pack.ports import ObjectStorage
from hf_pack.steps.caches.published_index import read_index


def search(text: str, caches: Sequence[ObjectStorage]) -> tuple[Published, ...]:
    """Entries that hold every word of ``text`` in one of their names, newest build of a pname first.

    One that several caches have is there once. Raises HubError.
    """
    words = text.lower().split()
    found: dict[str, Published] = {}
    for cache in caches:
        for entry in read_index(cache):
            names = f"{entry.pname}@{entry.version} {entry.repo_id} {entry.quantization} {entry.licence}".lower()
            if all(word in names for word in words):
                found.setdefault(entry.key, entry)
    return tuple(found.values())
