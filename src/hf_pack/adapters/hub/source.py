"""A model on the Hub as a :class:`hf_pack.ports.Source`: its list, and its small files and first bytes on demand."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from hf_pack.adapters.hub.bodies import LinkExpired, read_range, read_whole
from hf_pack.adapters.hub.limits import Limits
from hf_pack.adapters.hub.listing import git_blob_id
from hf_pack.adapters.hub.metadata import HubSnapshot, list_snapshot
from hf_pack.adapters.hub.origin import origin_of
from hf_pack.adapters.hub.ranged_file import RangedFile
from hf_pack.adapters.hub.retrying import Patience, Transient
from hf_pack.adapters.hub.settings import HubSettings
from hf_pack.adapters.hub.web import Web
from hf_pack.errors import IntegrityError, SourceError
from hf_pack.model.file_names import shown
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.ports import SourceFile, SourceListing
from hf_pack.side_by_side import side_by_side

_MOST_READERS = 16
_RANGE = 256 << 10  # bytes that one request asks for at least, where a file is read in places


class HubSource:
    """A snapshot on the Hub. What was read is kept in memory, and never asked for again. Thread-safe."""

    def __init__(self, repo_id: RepoId, snapshot: HubSnapshot, web: Web) -> None:
        self.snapshot = snapshot
        self._repo_id = repo_id
        self._web = web
        self._files = {file.path: file for file in snapshot.files}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._read: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._listing = SourceListing(
            place=f"{repo_id} at {snapshot.commit_hash}",
            kind="hub",
            repo_id=repo_id,
            snapshot_id=snapshot.commit_hash,
            snapshot_kind=SnapshotKind.COMMIT,
            files=snapshot.files,
            gated=snapshot.gated,
            licence=snapshot.licence,
        )

    @property
    def listing(self) -> SourceListing:
        """Its files at the commit."""
        return self._listing

    def prepare(self, reads: Sequence[tuple[str, int | None]]) -> None:
        """Fetch these (path, first bytes or all) side by side. Raises what :meth:`read` raises."""
        if not reads:
            return
        readers = min(_MOST_READERS, 2 * self._web.limits.connections, len(reads))
        futures = side_by_side([partial(self.read, path, size=size) for path, size in reads], readers)
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()

    def read(self, path: str, *, size: int | None = None) -> bytes:
        """The first ``size`` bytes of a file, or all of them, which are then what the Hub's list says they are.

        Raises SourceError for a file that is not listed, HubError, IntegrityError.
        """
        file = self._files.get(path)
        if file is None:
            raise SourceError(f"{shown(path)}: no such file in {self._listing.place}")
        wanted = file.size if size is None else min(size, file.size)
        with self._lock:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            have = self._read.get(path, b"")
            if len(have) < wanted or path not in self._read:
                have = self._fetched(file, have, wanted)
                self._read[path] = have
        return have[:wanted]

    def _fetched(self, file: SourceFile, have: bytes, wanted: int) -> bytes:
        if wanted < file.size:
            return self._prefix(file, have, wanted)
        data = self._whole(file, have)
        if not _is(file, data):
            # Once more, without what came before: a byte may have been flipped on the way.
            data = self._whole(file, b"")
            if not _is(file, data):
                expected = file.sha256.hex() if file.sha256 is not None else file.git_blob_id
                kind = "sha256" if file.sha256 is not None else "git blob id"
                raise IntegrityError(
                    f"the Hub sends bytes that are not the file's\n  {shown(file.path)} in {self._listing.place}: "
                    f"expected {kind} {expected}, found other bytes, twice",
                    hint="if HF_ENDPOINT names a mirror, try without it",
                )
        return data

    def _whole(self, file: SourceFile, have: bytes) -> bytes:
        if have or file.sha256 is not None or not file.size:
            return self._prefix(file, have, file.size)
        place = self._web.place(str(self._repo_id), self.snapshot.commit_hash, file.path)
        patience = Patience(self._web.limits, self._web.waits)
        while True:
            try:
                return read_whole(self._web, self._url(file), file.size, place)
            except Transient as failure:
                patience.after(failure)

    def open(self, path: str) -> BinaryIO:
        """The file; of one that git does not hold itself only the ranges that are asked for come. Raises as read."""
        file = self._files.get(path)
        if file is None or file.sha256 is None:
            return io.BytesIO(self.read(path))
        return io.BufferedReader(RangedFile(file.size, partial(self._span, file)), _RANGE)

    def _prefix(self, file: SourceFile, have: bytes, wanted: int) -> bytes:
        return have + self._span(file, len(have), wanted)

    def _span(self, file: SourceFile, begin: int, end: int) -> bytes:
        place = self._web.place(str(self._repo_id), self.snapshot.commit_hash, file.path)
        patience = Patience(self._web.limits, self._web.waits)
        data = bytearray()
        while begin + len(data) < end:
            before = begin + len(data)
            url = self._links.get(file.path) or self._url(file)
            try:
                answered = read_range(self._web, url, before, end, file.size, place, data.extend)
            except Transient as failure:
                self._links.pop(file.path, None)
                if begin + len(data) > before:
                    patience.progress()
                elif not isinstance(failure, LinkExpired) or url == self._url(file):
                    patience.after(failure)
            else:
                if origin_of(answered) != origin_of(self._web.settings.endpoint):
                    self._links[file.path] = answered
        return bytes(data)

    def _url(self, file: SourceFile) -> str:
        return self._web.resolve_url(str(self._repo_id), self.snapshot.commit_hash, file.path)


def open_hub_source(
    repo_id: RepoId, revision: str, settings: HubSettings, limits: Limits, note: Callable[[str], None] = lambda _: None
) -> HubSource:
    """Resolve the revision, list its files; ``note`` is told of long waits. Raises HubError, SourceError."""
    web = Web(settings, limits, note)
    return HubSource(repo_id, list_snapshot(repo_id, revision, settings, limits, web.waits), web)


def _is(file: SourceFile, data: bytes) -> bool:
    if file.sha256 is not None:
        return hashlib.sha256(data).digest() == file.sha256.digest
    return git_blob_id(data) == file.git_blob_id
