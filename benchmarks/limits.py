"""What bounds an ingest, each a process of its own: the hashes alone, the disk alone, the engine alone.

python -m benchmarks.limits hash SOURCE
python -m benchmarks.limits write SOURCE TARGET
python -m benchmarks.limits write-direct SOURCE TARGET
python -m benchmarks.limits engine SOURCE TARGET
"""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CHUNK = 1 << 20
_DIRECT_CHUNK = 8 << 20


def hash_all(source: Path) -> None:
    """The two sha256 passes over every file, flat and NAR, on all cores: no ingest can do less."""
    from hf_pack.formats import nar

    def one(path: Path, start: bytes, end: bytes) -> None:
        digest = hashlib.sha256(start)
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        with path.open("rb", buffering=0) as file:
            while length := file.readinto(buffer):
                digest.update(view[:length])
        digest.update(end)

    passes = []
    for path in _largest_first(source):
        size = path.stat().st_size
        passes.append((path, b"", b""))
        passes.append((path, nar.file_header(size), nar.file_trailer(size)))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        list(executor.map(lambda arguments: one(*arguments), passes))


def write_all(source: Path, target: Path, *, direct: bool) -> None:
    """The same bytes to new files and to the disk, on all cores, nothing hashed."""

    def one(path: Path) -> None:
        reader = os.open(path, os.O_RDONLY)
        writer = os.open(target / path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | (os.O_DIRECT if direct else 0))
        buffer = memoryview(mmap.mmap(-1, _DIRECT_CHUNK if direct else _CHUNK))
        while length := os.readv(reader, [buffer]):
            if length % 4096:
                os.close(writer)
                writer = os.open(target / path.name, os.O_WRONLY | os.O_APPEND)
            os.write(writer, buffer[:length])
        os.fsync(writer)
        os.close(writer)
        os.close(reader)

    target.mkdir(parents=True)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as executor:
        list(executor.map(one, _largest_first(source)))


def engine(source: Path, target: Path) -> None:
    """What the embedded store does with the bytes, without the store around it."""
    from hf_pack.adapters.embedded.engine import CopyJob, copy_and_hash

    target.mkdir(parents=True)
    jobs = [CopyJob(source=path, target=target / path.name) for path in _largest_first(source)]
    copy_and_hash(jobs, progress=lambda _: None)


def _largest_first(source: Path) -> list[Path]:
    return sorted(source.iterdir(), key=lambda path: path.stat().st_size, reverse=True)


def main(words: list[str]) -> None:
    subjects: dict[str, Callable[..., None]] = {
        "hash": hash_all,
        "write": lambda source, target: write_all(source, target, direct=False),
        "write-direct": lambda source, target: write_all(source, target, direct=True),
        "engine": engine,
    }
    subjects[words[0]](*map(Path, words[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
