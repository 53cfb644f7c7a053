"""Adding blobs: streamed from where they lie, side by side; the daemon hashes, and its answer is compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.connection import FilePart
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.link import Link, file_clock_ns
from hf_pack.disk.bad_blobs import wrong_sha256
from hf_pack.disk.identities import Identities
from hf_pack.disk.object_hash import open_regular
from hf_pack.disk.refusals import existing, free_bytes, out_of_space
from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_content_address, parse_content_address
from hf_pack.model.lock import Blob
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import AddedBlob, FileToAdd, Progress
from hf_pack.side_by_side import all_side_by_side

_PART = 8 << 20  # bytes between two looks at whether the work is still wanted


class _GivenUp(Exception):  # noqa: N818 - another error is the one to report
    """The work is not wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobAdder:
    """What adding needs."""

    link: Link
    identities: Identities

    def add(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """Make the files' blobs valid; see :meth:`hf_pack.ports.Store.add_blobs`. OSError is the caller's to turn."""
        done: dict[FileToAdd, AddedBlob] = {}
        to_stream: list[FileToAdd] = []
        waiting: list[FileToAdd] = []  # those whose blob another file of this call brings
        coming: set[Blob] = set()
        for file in dict.fromkeys(files):
            known = self._known(file)
            if known is not None and (present := self.present(known)):
                done[file] = AddedBlob(blob=present, bytes_read=0, bytes_written=0)
            elif known in coming:
                waiting.append(file)
            else:
                to_stream.append(file)
                if known is not None:
                    coming.add(known)
        done.update(self._stream_all(to_stream, progress))
        for file in waiting:
            known = self._known(file)
            present = self.present(known) if known else None
            if present is not None:
                done[file] = AddedBlob(blob=present, bytes_read=0, bytes_written=0)
            else:
                done.update(self._stream_all([file], progress))
        return tuple(done[file] for file in files)

    def present(self, blob: Blob) -> Blob | None:
        """The blob, with its size, when it is valid by its content and whole; it is protected then."""
        info = self.link.present(blob.store_path)
        if info is None or info.content_address != flat_content_address(blob.sha256):
            return None
        return Blob(name=blob.name, sha256=blob.sha256, size=self.link.real_path(blob.store_path).lstat().st_size)

    def stream(
        self, file: FileToAdd, advance: Callable[[int], object], stop: Event, *, repair: bool = False
    ) -> AddedBlob:
        """Send one file.

        Raises IntegrityError when the store's answer is not what was expected: the object is then
        valid under the path of its own bytes, to which nothing refers, and goes with the next collection.
        """
        started = file_clock_ns()
        if file.expected is not None and not repair:
            # Of a path that is registered, but not whole on disk, Nix would take nothing without this.
            expected = Blob(name=file.name, sha256=file.expected, size=0).store_path
            repair = self.link.info(expected) is not None
        descriptor = open_regular(file.real_path, follow=True)
        try:
            before = os.fstat(descriptor)
            body = _parts(descriptor, before.st_size, advance, stop)
            with self.link.adding.lend() as connection:
                info = operations.add_to_store(connection, file.name, operations.FLAT, body, repair=repair)
        except EOFError:
            raise StoreError(f"a file got shorter while it was read\n  {file.real_path}") from None
        finally:
            os.close(descriptor)
        sha256 = _sha256_of(info)
        self.identities.remember(file.real_path, before, started, sha256)
        if file.expected is not None and file.expected != sha256:
            raise wrong_sha256(file.real_path, expected=file.expected, found=sha256)
        blob = Blob(name=file.name, sha256=sha256, size=before.st_size)
        if blob.store_path != info.store_path:
            raise DaemonGoneError(f"the Nix daemon names an object otherwise than it must\n  {info.store_path}")
        is_new = repair or self.link.is_new(info.store_path, started)
        return AddedBlob(blob=blob, bytes_read=blob.size, bytes_written=blob.size if is_new else 0)

    def _known(self, file: FileToAdd) -> Blob | None:
        sha256 = file.expected or self.identities.find(file.real_path)
        return None if sha256 is None else Blob(name=file.name, sha256=sha256, size=0)

    def _stream_all(self, files: Sequence[FileToAdd], progress: Progress) -> dict[FileToAdd, AddedBlob]:
        sizes = {file: file.real_path.stat().st_size for file in files}
        needed, free = sum(sizes.values()), free_bytes(existing(self.link.real_store_dir))
        if needed > free:
            raise out_of_space(needed=needed, free=free, place=self.link.real_store_dir)
        if not files:
            return {}
        stop = Event()
        largest_first = sorted(files, key=lambda file: -sizes[file])
        jobs = [partial(self.stream, file, progress.advance, stop) for file in largest_first]
        progress.start("adding to the store", needed)
        try:
            # Each connection has a process of the daemon's to itself, which hashes on one core.
            added = all_side_by_side(jobs, os.cpu_count() or 1, [stop.set, self.link.adding.abort])
        finally:
            progress.finish()
        return dict(zip(largest_first, added, strict=True))


def _parts(descriptor: int, size: int, advance: Callable[[int], object], stop: Event) -> Iterator[FilePart]:
    for offset in range(0, size, _PART):
        if stop.is_set():
            raise _GivenUp
        part = FilePart(descriptor, offset, min(_PART, size - offset))
        yield part
        advance(part.size)


def _sha256_of(info: PathInfo) -> Hash:
    address = parse_content_address(info.content_address or "")
    if address.method != "flat":
        raise DaemonGoneError(f"the Nix daemon made something else than a flat object\n  {info.store_path}")
    return address.hash
