"""Receiving blobs from elsewhere: what is here survives a kill, and nothing is visible before it is proved.

A blob that is being received has a directory named by its sha256: ``data``, ``parts`` and ``lock``. Whoever holds
the lock receives; ``lock`` is the last to go of a directory that is removed, so that nobody else is in it then.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Protocol

from hf_pack.disk.locks import is_still, open_lock, try_lock
from hf_pack.disk.object_hash import FlatHash
from hf_pack.disk.partial_file import PartialFile
from hf_pack.disk.refusals import free_bytes, out_of_space, ran_out, refusing
from hf_pack.disk.staging import names_in, remove_tree
from hf_pack.errors import IntegrityError
from hf_pack.model.lock import Blob
from hf_pack.ports import AddedBlob, ByteRange

_LOCK = "lock"

#: A reception that nobody went on with for so long is garbage.
KEPT_SECONDS = 7 * 24 * 3600


class Destination(Protocol):
    """The store that a blob is received for."""

    @property
    def receiving(self) -> Path:
        """The directory that holds receptions."""

    @property
    def root(self) -> Path:
        """The place to name when there is no room, or when it refuses."""

    def has(self, blob: Blob) -> bool:
        """Whether the blob is valid; it is protected then."""

    def make(self, blob: Blob) -> bool:
        """Make the blob valid of what the store holds, where no byte must be read for it; says whether it did."""

    def take(self, blob: Blob, file: Path, found: FlatHash) -> None:
        """Make the proven file the blob. It may be moved away, and is removed afterwards when it was not."""


@contextmanager
def receiving(blob: Blob, store: Destination) -> Iterator[StagedReception | None]:
    """See :meth:`hf_pack.ports.Store.receive`. OSError on the way in is the caller's to turn.

    Waits as long as another reception of the same sha256 is open, also one of this very thread.
    """
    folder = store.receiving / blob.sha256.hex()
    if store.has(blob):
        # Of one that was killed before it could tidy up, or that the blob overtook on another way.
        if (lock := _try_hold(folder)) is not None:
            with _held(lock):
                _remove(folder)
        _remove_empty(folder)
        yield None
        return
    with _held(_hold(folder)):
        if store.has(blob) or store.make(blob):
            _remove(folder)
            yield None
            return
        reception = StagedReception(blob, folder, store)
        try:
            reception.require_space()
            yield reception
        finally:
            reception.close()


@contextmanager
def receiving_within(
    way_in: AbstractContextManager[None], blob: Blob, store: Destination
) -> Iterator[StagedReception | None]:
    """:func:`receiving`, begun within ``way_in``, which is not around what the caller does with the reception."""
    with ExitStack() as opened:
        with way_in:
            reception = opened.enter_context(receiving(blob, store))
        yield reception


class StagedReception:
    """Implements :class:`hf_pack.ports.Reception`; the lock on ``folder`` is held as long as this is open.

    ``missing`` gives the rest of a part that began, and ``write`` passes over bytes that are here already: a part may
    be sent from its start again, by another transport or by two at once.
    """

    def __init__(self, blob: Blob, folder: Path, store: Destination) -> None:
        self._blob = blob
        self._folder = folder
        self._store = store
        self._file = PartialFile(folder, blob.size)
        self._written = 0  # bytes of this reception that were discarded
        self._done = False
        self._turn = RLock()  # around what ends the file

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        """See :class:`hf_pack.ports.Reception`."""
        return self._file.missing

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """See :class:`hf_pack.ports.Reception`. Raises StoreError (full disk with what is needed); ValueError for
        bytes that leave a gap within a part or lie beyond the end."""
        with self._refusing():
            self._file.write(offset, data)

    def discard(self) -> None:
        """See :class:`hf_pack.ports.Reception`. Writes that run are waited for."""
        with self._turn, self._refusing():
            self._file.close()
            self._written += self._file.written
            _clear(self._folder)
            self._file = PartialFile(self._folder, self._blob.size)

    def finish(self) -> AddedBlob:
        """See :class:`hf_pack.ports.Reception`. The bytes of the result are those that were written, discarded ones
        included; not those of an earlier process. Raises ValueError while something is missing."""
        with self._turn, self._refusing():
            if missing := self._file.missing:
                raise ValueError(f"{self._blob.name} is not complete: bytes from {missing[0].offset} on are missing")
            found = self._file.digest()
            if found.sha256 != self._blob.sha256:
                self.discard()
                raise _mismatch(self._blob, found)
            self._file.settle()
            self._file.close()
            self._store.take(self._blob, self._file.path, found)
            self._done = True
            _remove(self._folder)
            written = self._written + self._file.written
            return AddedBlob(blob=self._blob, bytes_read=written, bytes_written=written)

    def require_space(self) -> None:
        """Raise StoreError when the rest does not find room."""
        needed = sum(part.size for part in self._file.missing)
        if needed > (free := free_bytes(self._folder)):
            raise out_of_space(needed=needed, free=free, place=self._store.root)

    def close(self) -> None:
        """Leave what is here for the next reception of the blob."""
        with self._turn, suppress(OSError):  # a disk that refuses this refused what matters before, and that was said
            self._file.close()
            if not self._done and self._file.received == 0:
                _remove(self._folder)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        root = self._store.root
        with refusing(f"receive {self._blob.name}", root):
            try:
                yield
            except OSError as error:
                needed = sum(part.size for part in self._file.missing)
                if ran_out(error, needed=needed, place=root):
                    raise out_of_space(needed=needed, free=free_bytes(root), place=root) from error
                raise


def remove_abandoned(receiving: Path) -> int:
    """Remove receptions that nobody went on with for a week; returns the bytes of disk that this frees."""
    freed = 0
    for folder, lock in _abandoned(receiving):
        with _held(lock):
            freed += _remove(folder)
    for name in names_in(receiving):
        freed += _remove_empty(receiving / name)
    return freed


def abandoned_folders(receiving: Path) -> tuple[Path, ...]:
    """The directories that :func:`remove_abandoned` would remove."""
    found = []
    for folder, lock in _abandoned(receiving):
        os.close(lock)
        found.append(folder)
    return tuple(found)


def _abandoned(receiving: Path) -> Iterator[tuple[Path, int]]:
    """Directories that nobody held and that did not change for long, with their lock, now ours."""
    for name in sorted(names_in(receiving)):
        folder = receiving / name
        if (lock := _try_hold(folder)) is None:
            continue
        if time.time() - _last_change(folder) > KEPT_SECONDS:
            yield folder, lock
        else:
            os.close(lock)


def _last_change(folder: Path) -> float:
    try:
        return (folder / "parts").stat().st_mtime
    except FileNotFoundError:
        return folder.stat().st_mtime


def _hold(folder: Path) -> int:
    """The lock on a directory, which is made when it is not there; waits for whoever has it."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            # `mkdir` tries first and looks afterwards: a directory may be gone, or be there again, in between.
            if _is_something_else(folder):
                raise
            continue
        try:
            lock = open_lock(folder / _LOCK)
        except FileNotFoundError:  # removed just now
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_still(folder / _LOCK, lock):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _is_something_else(folder: Path) -> bool:
    try:
        return not stat.S_ISDIR(folder.lstat().st_mode)
    except FileNotFoundError:
        return False


def _try_hold(folder: Path) -> int | None:
    """The lock on a directory that is there, None when somebody has it or this user cannot have it."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    if try_lock(lock, exclusive=True) and is_still(folder / _LOCK, lock):
        return lock
    os.close(lock)
    return None


@contextmanager
def _held(lock: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(lock)


def _clear(folder: Path) -> int:
    """Remove what was received, the record first; returns the bytes of disk that this frees."""
    return remove_tree(folder / "parts") + remove_tree(folder / "data")


def _remove(folder: Path) -> int:
    return _clear(folder) + remove_tree(folder / _LOCK) + _remove_empty(folder)


def _remove_empty(folder: Path) -> int:
    """Remove the directory, unless somebody is in it; whoever was about to be makes it again."""
    try:
        freed = folder.lstat().st_blocks * 512
        folder.rmdir()
    except OSError:
        return 0
    return freed


def _mismatch(blob: Blob, found: FlatHash) -> IntegrityError:
    return IntegrityError(
        f"a file arrived with other bytes than it must have\n"
        f"  {blob.name}: expected sha256 {blob.sha256.hex()}, found {found.sha256.hex()}",
        hint="run `hf-pack build` again: the file is fetched anew",
    )
