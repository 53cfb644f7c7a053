"""What every store whose objects are files of this machine does alike: check, compare and read them where they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most commands look at no object
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from hf_pack.disk.known_trees import KnownTrees
    from hf_pack.disk.nar_on_disk import NarOnDisk
    from hf_pack.disk.proofs import Proofs
    from hf_pack.formats.hashes import Hash
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.findings import Problem
    from hf_pack.model.path_info import PathInfo
    from hf_pack.model.plan import Plan
    from hf_pack.ports import AddedTree, PackageFiles, Progress


class ObjectsOnDisk(ABC):
    """The part of :class:`hf_pack.ports.Store` that needs real files and what the store recorded of them."""

    @abstractmethod
    def real_path(self, store_path: StorePath) -> Path:
        """See :class:`hf_pack.ports.Store`."""

    @abstractmethod
    def path_info(self, store_path: StorePath) -> PathInfo | None:
        """See :class:`hf_pack.ports.Store`."""

    @abstractmethod
    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`."""

    @property
    @abstractmethod
    def _proofs(self) -> Proofs:
        """What is remembered of earlier checks."""

    @property
    @abstractmethod
    def _known_trees(self) -> KnownTrees:
        """Where self-contained plans led before."""

    @abstractmethod
    def _writing(self, action: str) -> AbstractContextManager[None]:
        """A session in which this store's own directories are there; turns errors as :meth:`_refusing` does."""

    @abstractmethod
    def _refusing(self, action: str) -> AbstractContextManager[None]:
        """Turns what the system refuses into StoreError; ``action`` goes on after "cannot"."""

    def find_tree(self, plan: Plan, claimed: StorePath | None = None) -> AddedTree | None:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk import objects
        from hf_pack.ports import AddedTree

        def present(store_path: StorePath) -> PathInfo | None:
            info = self.path_info(store_path) if store_path in self.keep([store_path]) else None
            return info if info is not None and objects.is_whole(self.real_path(store_path), info) else None

        expected = plan.store_path() or self._known_trees.find(plan)
        if expected is not None and (info := present(expected)) is not None:
            return AddedTree(info=info, bytes_read=0, bytes_written=0)
        if claimed is None or claimed == expected or claimed.name != plan.name or (info := present(claimed)) is None:
            return None
        if info.references != plan.references or self.compare(plan, claimed):
            return None
        with self._writing("remember a package"):
            self._known_trees.remember(plan, claimed)
        return AddedTree(info=info, bytes_read=info.nar_size, bytes_written=0)

    def check(self, store_path: StorePath, progress: Progress, *, sha256: Hash | None = None) -> tuple[Problem, ...]:
        """See :class:`hf_pack.ports.Store`. Every byte is read from disk."""
        import time

        from hf_pack.disk.checking import problems_of
        from hf_pack.disk.proofs import Claim, identity_of
        from hf_pack.model.findings import Problem

        info = self.path_info(store_path)
        if info is None:
            return (Problem(store_path=store_path, path="", problem="it is not in the store"),)
        claim = Claim(real_path=self.real_path(store_path), info=info, sha256=sha256)
        started_ns, before = time.time_ns(), identity_of(claim.real_path)
        with self._refusing("check the store"):
            problems = problems_of(claim.real_path, info, progress, sha256=sha256)
        if problems:
            self._proofs.forget(store_path)
        else:
            self._proofs.record(claim, before, started_ns)
        return problems

    def proved(self, objects: Mapping[StorePath, Hash | None]) -> dict[StorePath, int]:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk.proofs import Claim

        infos = [info for store_path in objects if (info := self.path_info(store_path)) is not None]
        claims = (
            Claim(real_path=self.real_path(info.store_path), info=info, sha256=objects[info.store_path])
            for info in infos
        )
        return self._proofs.find(claims) if infos else {}

    def compare(self, plan: Plan, store_path: StorePath) -> tuple[Problem, ...]:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk import reading

        with self._refusing("check the store"):
            return reading.compare(plan, self.real_path(store_path), store_path)

    def package_files(self, store_path: StorePath) -> PackageFiles | None:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk import reading

        with self._refusing("read the store"):
            return reading.package_files(self.real_path(store_path))

    def nar(self, store_path: StorePath) -> NarOnDisk:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk.nar_on_disk import NarOnDisk
        from hf_pack.errors import StoreError
        from hf_pack.formats.format_error import FormatError

        try:
            with self._refusing("read the store"):
                return NarOnDisk(self.real_path(store_path))
        except FormatError as error:
            raise StoreError(f"{store_path} is damaged: {error}", hint=f"hf-pack verify {store_path}") from None

    def read(self, store_path: StorePath, inside: str = "", *, offset: int = 0, size: int | None = None) -> bytes:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.disk import reading

        try:
            return reading.read(self.real_path(store_path), inside, offset, size)
        except OSError as error:
            raise reading.unreadable(store_path, inside, error) from None
