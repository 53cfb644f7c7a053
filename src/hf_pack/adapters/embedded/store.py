"""The embedded store: a Nix store in a directory of one's own, without Nix.

Nix reads and writes it as ``--store local?root=…``, at the same time if need be: the database, the locks,
the temporary roots and the collector's socket are Nix's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.adapters.embedded import temp_roots
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.disk.objects_on_disk import ObjectsOnDisk
from hf_pack.disk.refusals import refusing
from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath

if TYPE_CHECKING:  # reading what is valid takes little; each method imports what it works with
    from hf_pack.adapters.embedded.blobs import BlobAdder
    from hf_pack.adapters.embedded.trees import TreeAdder
    from hf_pack.disk.known_trees import KnownTrees
    from hf_pack.disk.proofs import Proofs
    from hf_pack.formats.narinfo import NarInfo
    from hf_pack.formats.signing import PublicKey
    from hf_pack.model.findings import Collection, Root
    from hf_pack.model.lock import Blob
    from hf_pack.model.path_info import PathInfo
    from hf_pack.model.plan import Plan
    from hf_pack.ports import AddedBlob, AddedTree, FileToAdd, Progress, Reception


class EmbeddedStore(ObjectsOnDisk):
    """Implements :class:`hf_pack.ports.Store` below a root directory. Thread-safe.

    Nothing is made until something is written: a store that is not there is an empty one. One that this
    user cannot write is read all the same. Raises StoreError when the root holds something else.
    """

    def __init__(self, root: Path) -> None:
        self._layout = StoreLayout.at(root)
        self._database = Database(self._layout)
        with self._refusing("open the store"):
            _ = self._database.exists
        self._temp_roots = temp_roots.of_this_process(self._layout)

    @cached_property
    def _blobs(self) -> BlobAdder:
        from hf_pack.adapters.embedded.blobs import BlobAdder
        from hf_pack.disk.identities import Identities

        identities = Identities(self._layout.identities)
        return BlobAdder(
            layout=self._layout, database=self._database, temp_roots=self._temp_roots, identities=identities
        )

    @cached_property
    def _trees(self) -> TreeAdder:
        from hf_pack.adapters.embedded.trees import TreeAdder

        return TreeAdder(layout=self._layout, database=self._database, temp_roots=self._temp_roots)

    @cached_property
    def _proofs(self) -> Proofs:
        from hf_pack.disk.proofs import Proofs

        with suppress(OSError):  # a store that Nix made has no place for ours, and one of somebody else gets none
            self._layout.own_dir.mkdir(parents=True, exist_ok=True)
        return Proofs(self._layout.proofs)

    def __enter__(self) -> EmbeddedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back; the store opens it again when it is used again."""
        self._database.close()

    @property
    def root(self) -> Path:
        """The directory below which the store lies, absolute and without symbolic links."""
        return self._layout.root

    @property
    def url(self) -> str:
        """``local?root=…``."""
        return f"local?root={self.root}"

    def real_path(self, store_path: StorePath) -> Path:
        """``<root>/nix/store/<base name>``."""
        return self._layout.real_path(store_path)

    def path_info(self, store_path: StorePath) -> PathInfo | None:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._database.info(store_path)

    def valid_paths(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._database.valid(among)

    def all_paths(self) -> tuple[PathInfo, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._database.all_infos()

    def named(self, name: str) -> tuple[StorePath, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._database.named(name)

    def with_digest(self, digest: str) -> StorePath | None:
        """See :class:`hf_pack.ports.Store`."""
        with self._refusing("read the store"):
            return self._database.with_digest(digest)

    @contextmanager
    def session(self) -> Iterator[None]:
        """See :class:`hf_pack.ports.Store`. Sessions may overlap; protection ends with the last of the process."""
        with self._temp_roots.session():
            yield

    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`. A store that this user cannot write is its owner's to collect."""
        wanted = frozenset(store_paths)
        with self._refusing("protect paths of the store"):
            if self._database.exists and self._database.writable:
                self._temp_roots.add(wanted)
            return self._database.valid(wanted)

    def hold(self, store_paths: Iterable[StorePath]) -> None:
        """See :class:`hf_pack.ports.Store`. A store that this user cannot write is its owner's to collect."""
        with self._refusing("protect paths of the store"):
            if self._database.exists and self._database.writable:
                self._temp_roots.hold(store_paths)

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        """See :class:`hf_pack.ports.Store`."""
        with self._writing("add files to the store"):
            return self._blobs.add(files, progress)

    @contextmanager
    def receive(self, blob: Blob, *, repair: bool = False) -> Iterator[Reception | None]:
        """See :class:`hf_pack.ports.Store`. What is here of a blob stays for a week when it is not finished."""
        from hf_pack.adapters.embedded.destination import EmbeddedDestination
        from hf_pack.disk.reception import receiving_within

        destination = EmbeddedDestination(self._blobs, repair=repair)
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
        trusted_keys: Sequence[PublicKey] = (),
        repair: bool = False,
    ) -> None:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.adapters.embedded.incoming import ObjectAdder

        with self._writing("add an object to the store"):
            adder = ObjectAdder(layout=self._layout, database=self._database, temp_roots=self._temp_roots)
            adder.add(info, nar, trusted_keys, repair=repair)

    @property
    def streamer(self) -> None:
        """None: trees share their files with blobs, by hard links."""

    def substitute(
        self,
        sizes: Mapping[StorePath, int],  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> frozenset[StorePath]:
        """See :class:`hf_pack.ports.Store`. This store has no substituters."""
        return frozenset()

    def replace_blob(self, file: FileToAdd, blob: Blob, progress: Progress) -> None:
        """See :class:`hf_pack.ports.Store`. Raises IntegrityError unless the file has the blob's bytes."""
        from hf_pack.adapters.embedded.placing import replace
        from hf_pack.disk.staging import staging_folder

        with self._writing("repair the store"), staging_folder(self._layout.staging) as folder:
            self._temp_roots.add([blob.store_path])
            staged = self._blobs.stage(file, blob, folder, progress)
            replace(staged, self._layout, self._database, aside=folder / "damaged")

    def replace_tree(self, plan: Plan, progress: Progress) -> None:
        """See :class:`hf_pack.ports.Store`. Its blobs are sound already."""
        from hf_pack.adapters.embedded.placing import replace
        from hf_pack.disk.staging import staging_folder

        with self._writing("repair the store"), staging_folder(self._layout.staging) as folder:
            info, _read = self._trees.info(plan, progress)
            self._temp_roots.add([info.store_path])
            staged, _written = self._trees.stage(plan, info, folder)
            replace(staged, self._layout, self._database, aside=folder / "damaged")

    def add_root(self, owner: Path, store_paths: Iterable[StorePath]) -> None:
        """See :class:`hf_pack.ports.Store`. Raises StoreError for a path that is not valid."""
        from hf_pack.adapters.embedded import roots

        wanted = frozenset(store_paths)
        with self._writing("root the package"):
            if missing := sorted(wanted - self.keep(wanted)):
                raise StoreError(
                    f"only a path that is in the store can be rooted\n  {missing[0]}", hint="run `hf-pack build`"
                )
            roots.add(self._layout, owner, wanted)
            self._temp_roots.hand_over(wanted)

    def roots(self) -> tuple[Root, ...]:
        """See :class:`hf_pack.ports.Store`."""
        from hf_pack.adapters.embedded import roots, running

        with self._refusing("read the store's roots"):
            found = [*roots.find(self._layout), *roots.find_temporary(self._layout), *running.find()]
            valid = self._database.valid(root.store_path for root in found)
            return tuple(root for root in found if root.store_path in valid)

    def collect_garbage(self, *, dry_run: bool) -> Collection:
        """See :class:`hf_pack.ports.Store`. The dry run works in a store that this user cannot write, too."""
        from hf_pack.adapters.embedded import garbage

        with self._refusing("collect garbage"):
            if dry_run or not self._database.exists:
                return garbage.preview(self._layout, self._database)
            self._database.create()
            self._layout.staging.mkdir(parents=True, exist_ok=True)
            return garbage.collect(self._layout, self._database)

    @property
    def _known_trees(self) -> KnownTrees:
        return self._layout.known_trees

    @contextmanager
    def _writing(self, action: str) -> Iterator[None]:
        with self._refusing(action):
            self._database.create()
            # A store that Nix made has no place for ours.
            for directory in self._layout.directories:
                directory.mkdir(parents=True, exist_ok=True)
            with self._temp_roots.session():
                yield

    def _refusing(self, action: str) -> AbstractContextManager[None]:
        return refusing(action, self._layout.root)
