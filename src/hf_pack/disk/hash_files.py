"""The sha256 of files that enter no store by themselves, side by side, each read once."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event

from hf_pack.disk.fan_out import MIB, Cancelled, fill_from, new_buffers
from hf_pack.disk.identities import Identities
from hf_pack.disk.object_hash import open_regular
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.model.lock import FileDigest
from hf_pack.ports import HashedFile, Progress
from hf_pack.side_by_side import all_side_by_side


def hash_files(paths: Sequence[Path], identities: Identities, progress: Progress) -> tuple[HashedFile, ...]:
    """Size and sha256 of each, links followed, in the order given; what ``identities`` knows is not read.

    Raises OSError, also when a file gets shorter while it is read.
    """
    known = {path: sha256 for path in paths if (sha256 := identities.find(path)) is not None}
    sizes = {path: path.stat().st_size for path in paths}
    largest_first = sorted({path for path in paths if path not in known}, key=lambda path: -sizes[path])
    found = {
        path: HashedFile(digest=FileDigest(size=sizes[path], sha256=sha256), bytes_read=0)
        for path, sha256 in known.items()
    }
    if not largest_first:
        return tuple(found[path] for path in paths)
    stop = Event()
    progress.start("hashing the source", sum(sizes[path] for path in largest_first))
    jobs = [partial(_hash, path, identities, progress.advance, stop) for path in largest_first]
    try:
        digests = all_side_by_side(jobs, os.cpu_count() or 1, [stop.set])
    finally:
        progress.finish()
    for path, digest in zip(largest_first, digests, strict=True):
        found[path] = HashedFile(digest=digest, bytes_read=digest.size)
    return tuple(found[path] for path in paths)


def _hash(path: Path, identities: Identities, advance: Callable[[int], None], stop: Event) -> FileDigest:
    started = time.time_ns()
    hasher, (buffer,) = hashlib.sha256(), new_buffers(1, MIB)
    descriptor = open_regular(path, follow=True)
    try:
        before = os.fstat(descriptor)
        size = 0
        # No further than it was long: a file that somebody writes may never end.
        while length := fill_from(descriptor, buffer[: before.st_size - size]):
            if stop.is_set():
                raise Cancelled
            hasher.update(buffer[:length])
            size += length
            advance(length)
        after = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if not size == before.st_size == after:
        raise OSError(errno.EIO, f"the file changed while it was read: {before.st_size} bytes, then {after}", str(path))
    sha256 = Hash(HashAlgorithm.SHA256, hasher.digest())
    identities.remember(path, before, started, sha256)
    return FileDigest(size=size, sha256=sha256)
