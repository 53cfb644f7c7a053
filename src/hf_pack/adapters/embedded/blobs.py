"""Adding blobs: by hash when it is known, by link when the bytes are there under another name, else by copy."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.engine import Copied, CopyJob, copy_and_hash
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.placing import Staged, place
from hf_pack.adapters.embedded.temp_roots import TempRoots
from hf_pack.disk import objects
from hf_pack.disk.identities import Identities
from hf_pack.disk.refusals import OUT_OF_SPACE, free_bytes, out_of_space
from hf_pack.disk.staging import staging_folder
from hf_pack.errors import IntegrityError
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_content_address
from hf_pack.model.lock import Blob
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import AddedBlob, FileToAdd, Progress

_FICLONE = 0x40049409  # linux/fs.h


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
        done: dict[FileToAdd, AddedBlob] = {}
        to_copy: list[FileToAdd] = []
        waiting: list[FileToAdd] = []  # those whose bytes another file of this call brings
        coming: set[Hash] = set()
        for file in distinct:
            sha256 = self._known_sha256(file)
            if sha256 is not None and (added := self.without_reading(file.name, sha256)):
                done[file] = added
            elif sha256 is not None and sha256 in coming:
                waiting.append(file)
            else:
                to_copy.append(file)
                if sha256 is not None:
                    coming.add(sha256)
        sizes = {file: file.real_path.stat().st_size for file in to_copy}
        progress.start("adding to the store", sum(sizes.values()))
        try:
            self._require_space(to_copy, sum(sizes.values()))
            for group in _groups(to_copy):
                done.update(self._copy(group, progress))
            for file in waiting:
                sha256 = self._known_sha256(file)
                added = self.without_reading(file.name, sha256) if sha256 else None
                done.update({file: added} if added else self._copy([file], progress))
        except OSError as error:
            if error.errno in OUT_OF_SPACE:
                raise self._out_of_space(sum(sizes[file] for file in to_copy if file not in done)) from error
            raise
        finally:
            progress.finish()
        return tuple(done[file] for file in files)

    def stage(self, file: FileToAdd, blob: Blob, folder: Path, progress: Progress) -> Staged:
        """Copy one file into staging; raises IntegrityError unless its bytes are the blob's."""
        target = folder / "blob"
        copied = copy_and_hash([CopyJob(source=file.real_path, target=target)], progress=progress.advance)[0]
        if copied.sha256 != blob.sha256:
            raise _mismatch(file, blob.sha256, copied.sha256)
        return Staged(path=target, info=blob_info(blob, copied.nar_hash))

    def _known_sha256(self, file: FileToAdd) -> Hash | None:
        return file.expected or self.identities.find(file.real_path)

    def without_reading(self, name: str, sha256: Hash) -> AddedBlob | None:
        """The blob from what is in the store already, None when these bytes are not."""
        store_path = Blob(name=name, sha256=sha256, size=0).store_path
        infos = self.database.with_content_address([flat_content_address(sha256)])
        self.temp_roots.add([store_path, *(info.store_path for info in infos)])
        # Once more: only what was valid after it was rooted is sure to stay.
        infos = self.database.with_content_address([flat_content_address(sha256)])
        whole = {
            info.store_path: info
            for info in infos
            if objects.is_whole(self.layout.real_path(info.store_path), info)
            and info.nar_size == nar.file_size(self.layout.real_path(info.store_path).lstat().st_size)
        }
        if store_path in whole:
            size = self.layout.real_path(store_path).lstat().st_size
            return AddedBlob(blob=Blob(name=name, sha256=sha256, size=size), bytes_read=0, bytes_written=0)
        with staging_folder(self.layout.staging) as folder:
            for other in whole.values():
                source = self.layout.real_path(other.store_path)
                if objects.link(source, target := folder / "blob"):
                    blob = Blob(name=name, sha256=sha256, size=target.lstat().st_size)
                    staged = Staged(path=target, info=blob_info(blob, other.nar_hash))
                    objects.sync(folder)
                    place([staged], self.layout, self.database)
                    return AddedBlob(blob=blob, bytes_read=0, bytes_written=0)
        return None

    def _copy(self, files: Sequence[FileToAdd], progress: Progress) -> Iterator[tuple[FileToAdd, AddedBlob]]:
        with staging_folder(self.layout.staging) as folder:
            jobs = [CopyJob(source=file.real_path, target=folder / str(n)) for n, file in enumerate(files)]
            hashed_at = time.time_ns()
            before = [file.real_path.stat() for file in files]
            results = copy_and_hash(jobs, progress=progress.advance)
            objects.sync(folder)
            good: list[tuple[FileToAdd, Blob, Copied, Staged]] = []
            for file, job, copied in zip(files, jobs, results, strict=True):
                if file.expected in (None, copied.sha256):
                    blob = Blob(name=file.name, sha256=copied.sha256, size=copied.size)
                    staged = Staged(path=job.target, info=blob_info(blob, copied.nar_hash))
                    good.append((file, blob, copied, staged))
            self.temp_roots.add(blob.store_path for _, blob, _, _ in good)
            new = place([staged for _, _, _, staged in good], self.layout, self.database)
        for file, status, copied in zip(files, before, results, strict=True):
            self.identities.remember(file.real_path, status, hashed_at, copied.sha256)
        for file, copied in zip(files, results, strict=True):
            if file.expected not in (None, copied.sha256):
                raise _mismatch(file, file.expected, copied.sha256)
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
        with staging_folder(self.layout.staging) as folder:
            try:
                with source.open("rb") as original, (folder / "probe").open("wb") as clone:
                    fcntl.ioctl(clone.fileno(), _FICLONE, original.fileno())
            except OSError:
                return False
        return True


def _groups(files: Sequence[FileToAdd]) -> Iterator[Sequence[FileToAdd]]:
    # Each group becomes valid at once: what was copied before a kill need not be copied again.
    size = 2 * (os.cpu_count() or 1)
    for start in range(0, len(files), size):
        yield files[start : start + size]


def blob_info(blob: Blob, nar_hash: Hash) -> PathInfo:
    """What a blob is registered as."""
    return PathInfo(
        store_path=blob.store_path,
        nar_hash=nar_hash,
        nar_size=nar.file_size(blob.size),
        content_address=flat_content_address(blob.sha256),
    )


def _mismatch(file: FileToAdd, expected: Hash | None, found: Hash) -> IntegrityError:
    assert expected is not None
    return IntegrityError(
        f"a file has other bytes than it must have\n"
        f"  {file.real_path}: expected sha256 {expected.hex()}, found {found.hex()}",
        hint="fetch the file again; if the change is wanted, hf-pack lock NAME",
    )
