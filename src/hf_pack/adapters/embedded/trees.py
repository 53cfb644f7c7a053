"""Adding trees: the small object that holds a package's layout, linked to its blobs or made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hf_pack import durable
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.placing import Staged, place
from hf_pack.adapters.embedded.temp_roots import TempRoots
from hf_pack.disk import objects
from hf_pack.disk.bad_blobs import require_blobs
from hf_pack.disk.refusals import OUT_OF_SPACE, free_bytes, out_of_space
from hf_pack.disk.staging import staging_folder
from hf_pack.errors import StoreError
from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, recursive_content_address, recursive_path
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.path_info import PathInfo
from hf_pack.model.plan import Plan, RegularFile
from hf_pack.ports import AddedTree, Progress

_BLOCK = 4096  #: bytes; of most file systems


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeAdder:
    """What adding needs of a store."""

    layout: StoreLayout
    database: Database
    temp_roots: TempRoots

    def add(self, plan: Plan, progress: Progress) -> AddedTree:
        """Make the tree valid; see :meth:`hf_pack.ports.Store.add_tree`. OSError is the caller's to turn."""
        expected = plan.store_path() or self.layout.known_trees.find(plan)
        if expected is not None:
            self.temp_roots.add([expected])
            if (info := self._present(expected)) is not None:
                return AddedTree(info=info, bytes_read=0, bytes_written=0)
        info, read = self.info(plan, progress)
        self.temp_roots.add([info.store_path])
        if (present := self._present(info.store_path)) is not None:
            self._remember(plan, info)
            return AddedTree(info=present, bytes_read=read, bytes_written=0)
        with staging_folder(self.layout.staging) as folder:
            staged, written = self.stage(plan, info, folder)
            new = place([staged], self.layout, self.database)
        self._remember(plan, info)
        present = self.database.info(info.store_path)
        assert present is not None
        return AddedTree(info=present, bytes_read=read, bytes_written=written if new else 0)

    def info(self, plan: Plan, progress: Progress) -> tuple[PathInfo, int]:
        """What the tree will be registered as, and the bytes read to know it (self-contained: the blobs)."""
        self._require_blobs(plan)
        if (nar_hash := plan.nar_hash()) is not None:
            return _info(plan, nar_hash, plan.nar_size), 0
        read = 0

        def chunks_of(blob: Blob) -> Iterable[bytes]:
            nonlocal read
            read += blob.size
            return objects.chunks_of(self.layout.real_path(blob.store_path), progress.advance)

        progress.start("hashing the package", plan.nar_size)
        try:
            return _info(plan, *nar.hash_and_size(plan.nar_tree(chunks_of))), read
        except FormatError as error:
            raise StoreError(
                f"a blob of {plan.name} has another size than the plan says\n  {error}",
                hint="run `hf-pack verify --repair`",
            ) from error
        finally:
            progress.finish()

    def stage(self, plan: Plan, info: PathInfo, folder: Path) -> tuple[Staged, int]:
        """Write the tree into staging; returns it and the bytes written."""
        target = folder / "tree"
        free = free_bytes(folder)
        try:
            written = objects.write_tree(plan, target, blob_file=lambda blob: self.layout.real_path(blob.store_path))
            durable.sync(folder)
        except OSError as error:
            # With room for the bytes it is something else that ran out: files, or a quota.
            if error.errno in OUT_OF_SPACE and (needed := _disk_bytes(plan)) > free:
                raise out_of_space(needed=needed, free=free, place=self.layout.root) from error
            raise
        return Staged(path=target, info=info), written

    def _require_blobs(self, plan: Plan) -> None:
        wanted = {blob.store_path for blob in plan.blobs}
        self.temp_roots.add(wanted)
        require_blobs(plan.name, wanted, self.database.valid(wanted))

    def _present(self, store_path: StorePath) -> PathInfo | None:
        info = self.database.info(store_path)
        if info is None or not objects.is_whole(self.layout.real_path(store_path), info):
            return None
        return info

    def _remember(self, plan: Plan, info: PathInfo) -> None:
        if plan.storage is Storage.SELF_CONTAINED:  # a linked plan tells its path itself
            self.layout.known_trees.remember(plan, info.store_path)


def _disk_bytes(plan: Plan) -> int:
    """What the tree's own files take, in whole blocks."""
    sizes = (
        len(entry.contents)
        for entry in plan.entries
        if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    )
    return sum(-(-size // _BLOCK) * _BLOCK for size in sizes)


def _info(plan: Plan, nar_hash: Hash, nar_size: int) -> PathInfo:
    references = plan.references
    return PathInfo(
        store_path=recursive_path(plan.name, nar_hash, references),
        nar_hash=nar_hash,
        nar_size=nar_size,
        references=references,
        content_address=recursive_content_address(nar_hash),
    )
