"""The Nix store of this machine, through Nix's worker protocol: everything that is written, Nix writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.adapters.nix_daemon.routes import find_route
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk.objects_on_disk import ObjectsOnDisk
from hf_pack.disk.refusals import refusing
from hf_pack.errors import StoreError

if TYPE_CHECKING:
    from hf_pack.adapters.nix_daemon.blobs import BlobAdder
    from hf_pack.adapters.nix_daemon.streaming import Streamer
    from hf_pack.adapters.nix_daemon.trees import TreeAdder
    from hf_pack.disk.known_trees import KnownTrees
    from hf_pack.disk.proofs import Proofs
    from hf_pack.formats.narinfo import NarInfo
    from hf_pack.formats.signing import PublicKey
    from hf_pack.formats.store_path import StorePath
    from hf_pack.model.findings import Collection, Root
    from hf_pack.model.lock import Blob
    from hf_pack.model.path_info import PathInfo
    from hf_pack.model.plan import Plan
    from hf_pack.ports import AddedBlob, AddedTree, FileToAdd, Progress, Reception


class NixDaemonStore(ObjectsOnDisk):
    """Implements :class:`hf_pack.ports.Store`. Thread-safe.

    Which store it is follows from ``environ`` as for Nix itself (see :mod:`hf_pack.adapters.nix_daemon.routes`);
    connections are made when they are needed. ``state`` is a directory of this user (``$XDG_STATE_HOME/hf-pack``).
    Raises DaemonGoneError when there is no such store.
    """

    def __init__(self, state: Path, environ: Mapping[str, str]) -> None:
        self._state = State(Path(os.path.realpath(state)))
        self._link = Link(find_route(environ))

    @cached_property
    def _blobs(self) -> BlobAdder:
        from hf_pack.adapters.nix_daemon.blobs import BlobAdder
        from hf_pack.disk.identities import Identities

        return BlobAdder(link=self._link, identities=Identities(self._state.identities))

    @cached_property
    def _trees(self) -> TreeAdder:
        from hf_pack.adapters.nix_daemon.held import HeldBlobs
        from hf_pack.adapters.nix_daemon.trees import TreeAdder

        return TreeAdder(link=self._link, state=self._state, held=HeldBlobs(self._state))

    @cached_property
    def _proofs(self) -> Proofs:
        from hf_pack.disk.proofs import Proofs

        with suppress(OSError):
            self._state.make()
        return Proofs(self._state.proofs)

    @cached_property
    def streamer(self) -> Streamer:
        """See :class:`hf_pack.ports.Store`. Nobody but Nix makes hard links in its store, so trees share nothing."""
        from hf_pack.adapters.nix_daemon.streaming import Streamer

        return Streamer(
            trees=self._trees,
            held=self._trees.held,
            identities=self._blobs.identities,
            writing=self._writing,
        )

    def __enter__(self) -> NixDaemonStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the store connects again when it is used again."""
        self._link.close()

    @property
    def url(self) -> str:
        """``daemon``."""
        return "daemon"

    def real_path(self, store_path: StorePath) -> Path:
        """``/nix/store/<base name>``, or where a chroot store has it."""
        return self._link.real_path(store_path)

    def path_info(self, store_path: StorePath) -> PathInfo | None:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._link.info(store_path)

    def valid_paths(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"), self._link.asking.lend() as connection:
            return operations.query_valid_paths(connection, among)

    def all_paths(self) -> tuple[PathInfo, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"), self._link.asking.lend() as connection:
            paths = operations.query_all_valid_paths(connection)
            infos = (operations.query_path_info(connection, store_path) for store_path in paths)
            return tuple(info for info in infos if info is not None)

    def named(self, name: str) -> tuple[StorePath, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"), self._link.asking.lend() as connection:
            return tuple(path for path in operations.query_all_valid_paths(connection) if path.name == name)

    def with_digest(self, digest: str) -> StorePath | None:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"), self._link.asking.lend() as connection:
            return operations.query_path_from_digest(connection, digest)

    @contextmanager
    def session(self) -> Iterator[None]:
        """See :class:`hf_pack.ports.Store`. Sessions may overlap; protection ends with the last of this object."""
        with self._link.session():
            yield

    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("protect paths of the store"), self.session():
            return self._link.protect(store_paths)

    def substitute(self, sizes: Mapping[StorePath, int], progress: Progress) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.adapters.nix_daemon import substituting

        with self._refusing("ask the store's substituters"), self.session():
            return substituting.substitute(self._link, sizes, progress) if sizes else frozenset()

    def hold(self, store_paths: Iterable[StorePath]) -> None:
        """See :class:`hf_pack.ports.Store`. Nix collects as root, and sees what every process of the machine uses."""

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._writing("add files to the store"):
            return self._blobs.add(files, progress)

    @contextmanager
    def receive(self, blob: Blob, *, repair: bool = False) -> Iterator[Reception | None]:
        """See :class:`hf_pack.ports.Store`. What is here of a blob stays for a week when it is not finished."""
        from hf_pack.adapters.nix_daemon.receiving import DaemonDestination
        from hf_pack.disk.reception import receiving_within

        destination = DaemonDestination(self._blobs, self._state, repair=repair)
        with self.session(), receiving_within(self._writing("receive a file"), blob, destination) as reception:
            yield reception

    def add_tree(self, plan: Plan, progress: Progress) -> AddedTree:
        """See :class:`hf_pack.ports.Store`."""
        with self._writing("add the package to the store"):
            return self._trees.add(plan, progress)

    def add_object(
        self,
        info: NarInfo,
        nar: Iterable[bytes | memoryview],
        *,
        trusted_keys: Sequence[PublicKey] = (),  # noqa: ARG002 - Nix has its own
        repair: bool = False,
    ) -> None:
        """See :class:`hf_pack.ports.Store`. Whom to trust is said by Nix's own settings."""
        from hf_pack.adapters.nix_daemon import incoming

        with self._writing("add an object to the store"):
            incoming.add(self._link, info, nar, repair=repair)

    def replace_blob(self, file: FileToAdd, blob: Blob, progress: Progress) -> None:
        """See :class:`hf_pack.ports.Store`. Raises IntegrityError unless the file has the blob's bytes."""
        from dataclasses import replace

        with self._writing("repair the store"):
            self._blobs.stream(
                replace(file, name=blob.name, expected=blob.sha256), progress.advance, Event(), repair=True
            )

    def replace_tree(self, plan: Plan, progress: Progress) -> None:
        """See :class:`hf_pack.ports.Store`. Its blobs are sound already."""
        with self._writing("repair the store"):
            self._trees.stream(plan, progress, repair=True)

    def add_root(self, owner: Path, store_paths: Iterable[StorePath]) -> None:
        """See :class:`hf_pack.ports.Store`. Raises StoreError for a path that is not valid."""
        from hf_pack.adapters.nix_daemon import roots

        wanted = frozenset(store_paths)
        with self._writing("root the package"):
            if missing := sorted(wanted - self._link.protect(wanted)):
                raise StoreError(
                    f"only a path that is in the store can be rooted\n  {missing[0]}", hint="run `hf-pack build`"
                )
            roots.add(self._link, self._state, owner, wanted)

    def roots(self) -> tuple[Root, ...]:
        """See :class:`hf_pack.ports.Store`. The daemon does not tell of temporary ones."""
        from hf_pack.adapters.nix_daemon import roots

        with self._refusing("read the store's roots"):
            found = tuple(roots.find(self._link, self._state))
            valid = self.valid_paths({root.store_path for root in found})
            return tuple(root for root in found if root.store_path in valid)

    def collect_garbage(self, *, dry_run: bool) -> Collection:
        """See :class:`hf_pack.ports.Store`. It is ``nix-store --gc``: all that no root reaches goes, whoever made it.

        The dry run, too, forgets links of ours whose owner is gone.
        """
        from hf_pack.adapters.nix_daemon import garbage

        with self._refusing("collect garbage"):
            return garbage.collect(self._link, self._state, delete=not dry_run)

    @property
    def _known_trees(self) -> KnownTrees:
        return self._state.known_trees

    @contextmanager
    def _writing(self, action: str) -> Iterator[None]:
        with self._refusing(action), self.session():
            self._state.make()
            yield

    def _refusing(self, action: str) -> AbstractContextManager[None]:
        return refusing(action, self._link.real_store_dir)
