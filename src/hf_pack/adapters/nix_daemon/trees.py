"""Adding trees: one stream, made from the plan and, when self-contained, from files that are proved meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.held import HeldBlobs
from hf_pack.adapters.nix_daemon.link import Link, file_clock_ns
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk.bad_blobs import MissingBlobError, require_blobs, wrong_bytes, wrong_sha256
from hf_pack.disk.object_hash import open_regular
from hf_pack.disk.refusals import existing, free_bytes, out_of_space
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import StorePath, recursive_path
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Plan
from hf_pack.ports import AddedTree, Progress

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeAdder:
    """What adding needs."""

    link: Link
    state: State
    held: HeldBlobs

    def add(self, plan: Plan, progress: Progress, files: Mapping[Blob, Path] | None = None) -> AddedTree:
        """Make the tree valid; see :meth:`hf_pack.ports.Store.add_tree`. OSError is the caller's to turn.

        The bytes of a self-contained one come from ``files``, from what is held, or from valid blobs.
        """
        if (found := self._present(plan)) is not None:
            return found
        expected = self._expected(plan)
        is_broken = expected is not None and self.link.info(expected) is not None
        try:
            return self.stream(plan, progress, files, repair=is_broken)
        except MissingBlobError:
            # Another process may just have made the tree, and dropped what it held for it.
            if (found := self._present(plan)) is not None:
                return found
            raise

    def stream(
        self, plan: Plan, progress: Progress, files: Mapping[Blob, Path] | None = None, *, repair: bool = False
    ) -> AddedTree:
        """Send the tree, whether it is there or not; with ``repair`` it takes the place of one that is."""
        is_large = plan.storage is Storage.SELF_CONTAINED
        with ExitStack() as opened:
            if is_large:
                body, read = self._solid(plan, files or {}, progress, opened), sum(blob.size for blob in plan.blobs)
            else:
                self._require_valid(plan, plan.blobs)
                body, read = nar.dump(plan.nar_tree(_no_bytes)), 0
            started = file_clock_ns()
            with self.link.adding.lend() as connection:
                info = operations.add_to_store(
                    connection, plan.name, operations.RECURSIVE, body, references=plan.references, repair=repair
                )
        if info.store_path != recursive_path(plan.name, info.nar_hash, plan.references):
            raise DaemonGoneError(f"the Nix daemon names a package otherwise than it must\n  {info.store_path}")
        if info.nar_size != plan.nar_size or plan.store_path() not in (None, info.store_path):
            raise DaemonGoneError(f"the Nix daemon made another package than it was sent\n  {info.store_path}")
        if is_large:
            self.state.known_trees.remember(plan, info.store_path)
            self.held.drop(plan.blobs)
        is_new = repair or self.link.is_new(info.store_path, started)
        return AddedTree(info=info, bytes_read=read, bytes_written=info.nar_size if is_new else 0)

    def _solid(self, plan: Plan, files: Mapping[Blob, Path], progress: Progress, opened: ExitStack) -> Iterator[bytes]:
        """The NAR of a tree with its files in it; all of them are open at return, so that none can go away."""
        places = {blob: place for blob in plan.blobs if (place := files.get(blob) or self.held.find(blob))}
        rest = [blob for blob in plan.blobs if blob not in places]
        self._require_valid(plan, rest)
        places |= {blob: self.link.real_path(blob.store_path) for blob in rest}
        descriptors: dict[Blob, int] = {}
        for blob, place in places.items():
            descriptors[blob] = open_regular(place, follow=True)
            opened.callback(os.close, descriptors[blob])
            if (size := os.fstat(descriptors[blob]).st_size) != blob.size:
                raise wrong_bytes(place, f"expected {blob.size} bytes, found {size}")
        needed, free = plan.nar_size, free_bytes(existing(self.link.real_store_dir))
        if needed > free:
            raise out_of_space(needed=needed, free=free, place=self.link.real_store_dir)
        progress.start("adding the package to the store", sum(blob.size for blob in plan.blobs))
        opened.callback(progress.finish)
        hashing = opened.enter_context(ThreadPoolExecutor(1, "hf-pack proof"))
        return nar.dump(
            plan.nar_tree(lambda blob: _proven(descriptors[blob], blob, places[blob], hashing, progress.advance))
        )

    def _expected(self, plan: Plan) -> StorePath | None:
        return plan.store_path() or self.state.known_trees.find(plan)

    def _present(self, plan: Plan) -> AddedTree | None:
        expected = self._expected(plan)
        info = None if expected is None else self.link.present(expected)
        return None if info is None else AddedTree(info=info, bytes_read=0, bytes_written=0)

    def _require_valid(self, plan: Plan, blobs: Iterable[Blob]) -> None:
        wanted = {blob.store_path for blob in blobs}
        require_blobs(plan.name, wanted, self.link.protect(wanted))


def _proven(
    descriptor: int, blob: Blob, place: Path, hashing: ThreadPoolExecutor, advance: Callable[[int], None]
) -> Iterator[bytes]:
    """The bytes of a file, which are hashed while the caller sends them; the last is given only when all are right."""
    hasher = hashlib.sha256()
    hashed: Future[None] | None = None
    offset = 0
    while offset < blob.size:
        chunk = os.pread(descriptor, min(_CHUNK, blob.size - offset), offset)
        if not chunk:
            raise OSError(errno.EIO, "the file got shorter while it was read", str(place))
        offset += len(chunk)
        if hashed is not None:
            hashed.result()  # no further behind than one chunk
        hashed = hashing.submit(hasher.update, chunk)
        if offset == blob.size:
            hashed.result()
            if (found := Hash(HashAlgorithm.SHA256, hasher.digest())) != blob.sha256:
                raise wrong_sha256(place, expected=blob.sha256, found=found)
        yield chunk
        advance(len(chunk))


def _no_bytes(blob: Blob) -> Iterable[bytes]:
    raise AssertionError(f"{blob.name}: a tree of links holds no bytes of it")
