"""A reception in memory that holds its sender to the port's rules, and what fetches share in tests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.hub import TestHub

from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.ports import AddedBlob, ByteRange, WantedBlob

PART = 1 << 16
REPO = "org/name"
PATH = "model.safetensors"
IMPATIENT = Limits(stall_seconds=0.4, connect_seconds=2.0, backoff_seconds=0.002, connections=4)


class NoProgress:
    """Counts bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._lock = threading.Lock()

    def start(self, what: str, total: int) -> None: ...

    def advance(self, size: int) -> None:
        with self._lock:
            self.size += size

    def finish(self) -> None: ...

    def child(self, name: str, size: int) -> NoProgress:
        return self

    def note(self, line: str) -> None: ...

    def detail(self, line: str) -> None: ...


class MemoryReception:
    """Parts of ``part`` bytes; a byte of a part that is here, or out of order, is an assertion."""

    def __init__(self, wanted: WantedBlob, part: int = PART) -> None:
        self.wanted = wanted
        self.data = bytearray(wanted.blob.size)
        self.part = part
        self.here: set[int] = set()
        self.written = 0
        self._next: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        size = len(self.data)
        return tuple(
            ByteRange(offset, min(self.part, size - offset))
            for offset in range(0, size, self.part)
            if offset not in self.here
        )

    def write(self, offset: int, data: bytes | memoryview) -> None:
        start = offset // self.part * self.part
        with self._lock:
            assert start not in self.here, "a finished part was sent again"
            assert offset in (start, self._next.get(start)), "bytes of a part come in order"
            end = min(start + self.part, len(self.data))
            assert offset + len(data) <= end, "a write stays within its part"
            self.data[offset : offset + len(data)] = data
            self.written += len(data)
            self._next[start] = offset + len(data)
            if offset + len(data) == end:
                self.here.add(start)

    def discard(self) -> None:
        self.here.clear()
        self._next.clear()

    def finish(self) -> AddedBlob:
        assert not self.missing
        assert hashlib.sha256(self.data).hexdigest() == self.wanted.blob.sha256.hex()
        return AddedBlob(blob=self.wanted.blob, bytes_read=0, bytes_written=self.written)


def content(size: int, seed: int = 1) -> bytes:
    """``size`` bytes that do not repeat and compress badly; the same for the same seed."""
    blocks = (hashlib.sha256(b"%d %d" % (seed, index)).digest() for index in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def wanted_blob(hub: TestHub, path: str = PATH, repo_id: str = REPO) -> WantedBlob:
    """The blob of a large file at main."""
    repo = hub.repo(repo_id)
    file = repo.file(path)
    return WantedBlob(
        blob=Blob(name=path.rpartition("/")[2], sha256=Hash.from_hex(file.sha256), size=file.size),
        repo_id=RepoId.parse(repo_id),
        commit_hash=repo.main,
        path=path,
    )


def settings_of(hub: TestHub, *, token: str | None = TestHub.token) -> HubSettings:
    """The test Hub, as its tester sees it."""
    return HubSettings(endpoint=hub.endpoint, token=token)


@contextmanager
def serving(size: int, *, path: str = PATH, **options: bool) -> Iterator[tuple[TestHub, bytes]]:
    """A Hub with one large file; its bytes."""
    data = content(size)
    with TestHub(**options) as hub:
        hub.add_repo(REPO, {"config.json": b"{}\n", path: data})
        yield hub, data
