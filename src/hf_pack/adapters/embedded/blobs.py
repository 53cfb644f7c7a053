"""Adding blobs: by hash when it is known, by link when the bytes are there under another name, else by copy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.engine import Copied, CopyJob, copy_and_hash
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.placing import Staged, place
from hf_pack.adapters.embedded.temp_roots import TempRoots
from hf_pack.disk import objects
from hf_pack.disk.bad_blobs import wrong_sha256
from hf_pack.disk.clone import clone
from hf_pack.disk.fan_out import MIB
from hf_pack.disk.identities import Identities
from hf_pack.disk.refusals import free_bytes, out_of_space, ran_out
from hf_pack.disk.staging import staging_folder
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_content_address
from hf_pack.model.lock import Blob
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import AddedBlob, FileToAdd, Progress

_GROUP_BYTES = 64 * MIB
_GROUP_FILES = 256  # each has its lock open for a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobAdder:
    """What adding needs of a store."""

    layout: StoreLayout
    database: Database
    temp_roots: TempRoots
    identities: Identities

    def add(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """Make the files' blobs valid; see :meth:`hf_pack.ports.Store.add_blobs`. OSError is the caller's to turn."""
        distinct = list(dict.fromkeys(files))
        known = {file: blob for file in distinct if (blob := self._known(file)) is not None}
        done = self._without_reading(known)
        to_copy: list[FileToAdd] = []
        waiting: dict[FileToAdd, Blob] = {}  # those whose bytes another file of this call brings
        coming: set[Hash] = set()
        for file in distinct:
            if file in done:
                continue
            if file in known and known[file].sha256 in coming:
                waiting[file] = known[file]
                continue
            to_copy.append(file)
            if file in known:
                coming.add(known[file].sha256)
        sizes = {file: file.real_path.stat().st_size for file in to_copy}
        progress.start("adding to the store", sum(sizes.values()))
        try:
            self._require_space(to_copy, sum(sizes.values()))
            for group in _groups(to_copy, sizes):
                done.update(self._copy(group, progress))
            done.update(self._without_reading(waiting))
            for file in waiting.keys() - done.keys():
                done.update(self._copy([file], progress))
        except OSError as error:
            needed = sum(sizes[file] for file in to_copy if file not in done)
            if ran_out(error, needed=needed, place=self.layout.staging):
                raise self._out_of_space(needed) from error
            raise
        finally:
            progress.finish()
        return tuple(done[file] for file in files)

    def stage(self, file: FileToAdd, blob: Blob, folder: Path, progress: Progress) -> Staged:
        """Copy one file into staging; raises IntegrityError unless its bytes are the blob's."""
        target = folder / "blob"
        copied = copy_and_hash([CopyJob(source=file.real_path, target=target)], progress=progress.advance)[0]
        if copied.sha256 != blob.sha256:
            raise wrong_sha256(file.real_path, expected=blob.sha256, found=copied.sha256)
        return Staged(path=target, info=blob_info(blob, copied.nar_hash))

    def present(self, blobs: Iterable[Blob]) -> dict[StorePath, AddedBlob]:
        """Those of the blobs that are valid by their content and whole, by path; their sizes need not be known.

        They are protected then.
        """
        wanted = {blob.store_path: blob for blob in blobs}
        self.temp_roots.add(wanted)
        # Only what is valid after it was rooted is sure to stay.
        infos = self.database.facts(wanted)
        return {
            path: self._as_it_is(wanted[path])
            for path, info in infos.items()
            if info.content_address == _address(wanted[path]) and self._is_whole(info)
        }

    def link(self, blobs: Sequence[Blob]) -> dict[StorePath, AddedBlob]:
        """Those of the blobs whose bytes are in the store under another name, made valid as links to them."""
        others = [info.store_path for info in self.database.with_content_address(map(_address, blobs))]
        self.temp_roots.add(others)
        sources: dict[str | None, list[PathInfo]] = {}
        for info in self.database.facts(others).values():
            if self._is_whole(info):
                sources.setdefault(info.content_address, []).append(info)
        found = [blob for blob in blobs if _address(blob) in sources]
        linked: list[Blob] = []
        for start in range(0, len(found), _GROUP_FILES):
            with staging_folder(self.layout.staging) as folder:
                staged = []
                for blob in found[start : start + _GROUP_FILES]:
                    target = folder / blob.store_path.base_name
                    for source in sources[_address(blob)]:
                        if objects.link(self.layout.real_path(source.store_path), target):
                            info = replace(source, store_path=blob.store_path, registration_time=0)
                            staged.append(Staged(path=target, info=info))
                            linked.append(blob)
                            break
                durable.sync(folder)
                place(staged, self.layout, self.database)
        return {blob.store_path: self._as_it_is(blob) for blob in linked}

    def _without_reading(self, files: Mapping[FileToAdd, Blob]) -> dict[FileToAdd, AddedBlob]:
        """Those that are here already, by their bytes."""
        blobs = list(dict.fromkeys(files.values()))
        added = self.present(blobs)
        added |= self.link([blob for blob in blobs if blob.store_path not in added])
        return {file: added[blob.store_path] for file, blob in files.items() if blob.store_path in added}

    def _known(self, file: FileToAdd) -> Blob | None:
        """The blob that the file must be or was when it was last read, of no size."""
        sha256 = file.expected or self.identities.find(file.real_path)
        return None if sha256 is None else Blob(name=file.name, sha256=sha256, size=0)

    def _is_whole(self, info: PathInfo) -> bool:
        """Whether it is there as a plain file of the right length."""
        real_path = self.layout.real_path(info.store_path)
        return objects.is_whole(real_path, info) and info.nar_size == nar.file_size(real_path.lstat().st_size)

    def _as_it_is(self, blob: Blob) -> AddedBlob:
        size = self.layout.real_path(blob.store_path).lstat().st_size
        return AddedBlob(blob=replace(blob, size=size), bytes_read=0, bytes_written=0)

    def _copy(self, files: Sequence[FileToAdd], progress: Progress) -> Iterator[tuple[FileToAdd, AddedBlob]]:
        with staging_folder(self.layout.staging) as folder:
            jobs = [CopyJob(source=file.real_path, target=folder / str(n)) for n, file in enumerate(files)]
            hashed_at = time.time_ns()
            before = [file.real_path.stat() for file in files]
            results = copy_and_hash(jobs, progress=progress.advance)
            durable.sync(folder)
            good: list[tuple[FileToAdd, Blob, Copied, Staged]] = []
            for file, job, copied in zip(files, jobs, results, strict=True):
                if file.expected in (None, copied.sha256):
                    blob = Blob(name=file.name, sha256=copied.sha256, size=copied.size)
                    staged = Staged(path=job.target, info=blob_info(blob, copied.nar_hash))
                    good.append((file, blob, copied, staged))
            self.temp_roots.add(blob.store_path for _, blob, _, _ in good)
            new = place([staged for _, _, _, staged in good], self.layout, self.database)
        hashed = zip(files, before, results, strict=True)
        self.identities.remember_all(((file.real_path, status, one.sha256) for file, status, one in hashed), hashed_at)
        for file, copied in zip(files, results, strict=True):
            if file.expected is not None and file.expected != copied.sha256:
                raise wrong_sha256(file.real_path, expected=file.expected, found=copied.sha256)
        for file, blob, copied, _ in good:
            written = copied.bytes_written if blob.store_path in new else 0
            yield file, AddedBlob(blob=blob, bytes_read=copied.bytes_read, bytes_written=written)

    def _require_space(self, files: Sequence[FileToAdd], needed: int) -> None:
        if needed > free_bytes(self.layout.staging) and not self._shares_extents(files[0].real_path):
            raise self._out_of_space(needed)

    def _out_of_space(self, needed: int) -> Exception:
        return out_of_space(needed=needed, free=free_bytes(self.layout.staging), place=self.layout.root)

    def _shares_extents(self, source: Path) -> bool:
        """Whether a copy of this file takes no room: tried, since no file system says so."""
        with (
            staging_folder(self.layout.staging) as folder,
            source.open("rb") as original,
            (folder / "probe").open("wb") as probe,
        ):
            return clone(original.fileno(), probe.fileno())


def _groups(files: Sequence[FileToAdd], sizes: Mapping[FileToAdd, int]) -> Iterator[Sequence[FileToAdd]]:
    """The files in turn, as many as become valid at once: what was copied before a kill need not be copied again.

    Enough of them to copy side by side, and of small ones so many that what a group costs is shared.
    """
    least = 2 * (os.cpu_count() or 1)
    group: list[FileToAdd] = []
    total = 0
    for file in files:
        if len(group) >= least and (len(group) >= _GROUP_FILES or total + sizes[file] > _GROUP_BYTES):
            yield group
            group, total = [], 0
        group.append(file)
        total += sizes[file]
    if group:
        yield group


def _address(blob: Blob) -> str:
    return flat_content_address(blob.sha256)


def blob_info(blob: Blob, nar_hash: Hash) -> PathInfo:
    """What a blob is registered as."""
    return PathInfo(
        store_path=blob.store_path,
        nar_hash=nar_hash,
        nar_size=nar.file_size(blob.size),
        content_address=_address(blob),
    )
