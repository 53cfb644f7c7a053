"""Copying files into a store and hashing them, in one pass.

Every byte is read once. The chunk that is written is the chunk that both digests see, so the hashes are
those of the target whatever happens to the source meanwhile. Where the file system can share extents
(btrfs, XFS) the target is a clone, and the clone is what is read.

The target is written past the page cache where that is possible.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event

from hf_pack.disk.clone import clone
from hf_pack.disk.direct_writer import BLOCK, DirectWriter
from hf_pack.disk.fan_out import MIB, Cancelled, fan_out, fill_from, new_buffers
from hf_pack.disk.object_hash import FlatHasher, hash_flat, open_regular
from hf_pack.formats.hashes import Hash

_MTIME_NS = 1_000_000_000  # Nix: every file in a store was modified one second after the epoch
_MODE = 0o444
_CHUNK = 2 * MIB
_BUFFERS_PER_FILE = 4
_MEMORY = 96 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob:
    """A file to copy; ``target`` does not exist yet, its directory does."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What the target holds, and what it cost.

    ``sha256`` is of its bytes, ``nar_hash`` of its NAR as a non-executable file. ``size``, ``bytes_read`` and
    ``bytes_written`` are in bytes; a clone is read for its digests, but nothing is written for it.
    """

    sha256: Hash
    nar_hash: Hash
    size: int
    bytes_read: int
    bytes_written: int


def copy_and_hash(
    jobs: Sequence[CopyJob], *, progress: Callable[[int], None], workers: int | None = None
) -> tuple[Copied, ...]:
    """Copy and hash all files side by side; the results are in the order of ``jobs``.

    Targets are new files (never links to their source) of mode 0444 and mtime 1, and are on the disk at
    return; their directory entries are the caller's to sync. ``progress`` gets the bytes done since its
    last call, from any thread. ``workers`` is the number of cores to use, all that the process may use if
    not given. A source that grows or shrinks meanwhile gives a target that is shorter than one of its
    states; the result describes the target.

    Raises the first OSError, or whatever interrupts the caller; the other copies are then given up and all
    targets made by this call are removed.
    """
    cores = workers or len(os.sched_getaffinity(0))
    # Two digests keep two cores busy; one file more has its turn while another one is opened or synced.
    at_once = max(1, min(len(jobs), (cores + 1) // 2 + 1))
    chunk = min(_CHUNK, _MEMORY // (at_once * _BUFFERS_PER_FILE) // BLOCK * BLOCK)
    pool: SimpleQueue[tuple[memoryview, ...]] = SimpleQueue()
    for _ in range(at_once):
        pool.put(new_buffers(_BUFFERS_PER_FILE, chunk))
    stop = Event()
    made: list[Path] = []

    def run(job: CopyJob) -> Copied:
        buffers = pool.get()
        try:
            if stop.is_set():
                raise Cancelled
            return _copy(job, buffers=buffers, progress=progress, stop=stop, made=made)
        finally:
            pool.put(buffers)

    # The largest first: what is left at the end is then small.
    order = sorted(range(len(jobs)), key=lambda index: jobs[index].source.stat().st_size, reverse=True)
    with ThreadPoolExecutor(at_once, "hf-pack copy") as executor:
        try:
            futures = {index: executor.submit(run, jobs[index]) for index in order}
            wait(futures.values(), return_when=FIRST_EXCEPTION)
            for future in futures.values():
                if future.done():
                    future.result()
            return tuple(futures[index].result() for index in range(len(jobs)))
        except BaseException:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            # A thread that was being started when the interrupt came is not known to the executor. Whoever has buffers
            # copies; from now on nobody begins.
            for buffers in [pool.get() for _ in range(at_once)]:
                pool.put(buffers)
            for target in made:
                target.unlink(missing_ok=True)
            raise


def _copy(
    job: CopyJob,
    *,
    buffers: Sequence[memoryview],
    progress: Callable[[int], None],
    stop: Event,
    made: list[Path],
) -> Copied:
    source = open_regular(job.source, follow=True)
    try:
        target = os.open(job.target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        made.append(job.target)
        try:
            cloned = clone(source, target)
            size = os.fstat(target if cloned else source).st_size
            hasher = FlatHasher(size)
            if cloned:
                length = fan_out(
                    partial(fill_from, target), size, hasher.sinks, buffers=buffers, progress=progress, stop=stop
                )
            else:
                sinks = (*hasher.sinks, DirectWriter(target))
                length = fan_out(partial(fill_from, source), size, sinks, buffers=buffers, progress=progress, stop=stop)
            os.fchmod(target, _MODE)
            os.utime(target, ns=(_MTIME_NS, _MTIME_NS))
            os.fsync(target)
        finally:
            os.close(target)
    finally:
        os.close(source)
    read = length
    if length == size:
        flat = hasher.result()
    else:  # the source got shorter, and a NAR begins with the size
        flat = hash_flat(job.target, progress=lambda _: None)
        read += length
    return Copied(
        sha256=flat.sha256,
        nar_hash=flat.nar_hash,
        size=flat.size,
        bytes_read=read,
        bytes_written=0 if cloned else length,
    )
