"""The Hub's cache: ``hub/models--<org>--<name>/`` with one snapshot and ``refs/main``.

Real files or links in ``snapshots/`` and no ``blobs/`` is what the client itself writes where links are off; it
reads such a cache without complaint. ``refs/main`` has no newline: with one the client finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hf_pack.layouts.contents import file_entry
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Entry, RegularFile

HUB = "share/models/hub"


def snapshot_directory(lock: Lock) -> str:
    """Where the files of the snapshot lie in the tree."""
    return f"{HUB}/{lock.source.repo_id.folder}/snapshots/{lock.source.snapshot_id}"


def entries(lock: Lock, kept: Mapping[str, bytes], storage: Storage) -> Iterator[Entry]:
    """The whole Hub cache. ``kept`` has the bytes of every file that is no blob, by path."""
    yield RegularFile(path=f"{HUB}/{lock.source.repo_id.folder}/refs/main", contents=lock.source.snapshot_id.encode())
    snapshot = snapshot_directory(lock)
    for file in lock.files:
        yield file_entry(f"{snapshot}/{file.path}", file, kept, storage)
