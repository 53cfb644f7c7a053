"""Adding trees: one stream, the NAR made from the plan and, when self-contained, from the blobs' files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk import objects
from hf_pack.errors import StoreError
from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Plan
from hf_pack.ports import AddedTree, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeAdder:
    """What adding needs."""

    link: Link
    state: State

    def add(self, plan: Plan, progress: Progress) -> AddedTree:
        """Make the tree valid; see :meth:`hf_pack.ports.Store.add_tree`. OSError is the caller's to turn."""
        expected = plan.store_path() or self.state.known_tree(plan.digest())
        if expected is not None and (info := self.link.present(expected)) is not None:
            return AddedTree(info=info, bytes_read=0, bytes_written=0)
        is_broken = expected is not None and self.link.info(expected) is not None
        return self.stream(plan, progress, repair=is_broken)

    def stream(self, plan: Plan, progress: Progress, *, repair: bool = False) -> AddedTree:
        """Send the tree, whether it is there or not; with ``repair`` it takes the place of one that is."""
        self._require_blobs(plan)
        started = time.time_ns()
        read = 0

        def chunks_of(blob: Blob) -> Iterable[bytes]:
            nonlocal read
            read += blob.size
            return objects.chunks_of(self.link.real_path(blob.store_path), progress.advance)

        body = nar.dump(plan.nar_tree(chunks_of))
        if is_large := plan.storage is Storage.SELF_CONTAINED:
            progress.start("adding the package to the store", sum(blob.size for blob in plan.blobs))
        try:
            with self.link.adding.lend() as connection:
                info = operations.add_to_store(
                    connection, plan.name, operations.RECURSIVE, body, references=plan.references, repair=repair
                )
        except FormatError as error:
            raise StoreError(
                f"a blob of {plan.name} has another size than the plan says\n  {error}",
                hint="run `hf-pack verify --repair`",
            ) from error
        finally:
            if is_large:
                progress.finish()
        if plan.store_path() not in (None, info.store_path):
            raise DaemonGoneError(f"the Nix daemon names a package otherwise than it must\n  {info.store_path}")
        if is_large:
            self.state.remember_tree(plan.digest(), info.store_path)
        is_new = repair or self.link.is_new(info.store_path, started)
        return AddedTree(info=info, bytes_read=read, bytes_written=info.nar_size if is_new else 0)

    def _require_blobs(self, plan: Plan) -> None:
        wanted = {blob.store_path for blob in plan.blobs}
        if missing := sorted(wanted - self.link.protect(wanted)):
            raise StoreError(
                f"{plan.name} needs a blob that is not in the store\n  {missing[0]}"
                + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
                hint="run `hf-pack build` to fetch what is missing",
            )
