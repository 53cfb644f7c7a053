"""Steps on a workspace and models on disk, with the store of the tests: what the command line wires together."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.memory_store import MemoryStore

from hf_pack import wiring
from hf_pack.adapters.workspace import WorkspaceOnDisk
from hf_pack.disk.object_hash import hash_tree
from hf_pack.formats.store_path import StorePath
from hf_pack.model.manifest import Allow, PathSource
from hf_pack.ports import Progress, Sources, Store, Workspace
from hf_pack.steps.building import realise, repair
from hf_pack.steps.building import verify as verifying
from hf_pack.steps.building.fetch import Places
from hf_pack.steps.inspecting.gates import Guard
from hf_pack.steps.locking import add as adding
from hf_pack.steps.locking import lock as locking
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.workspace import packages, targets
from hf_pack.steps.workspace.packages import Package

NO_WISHES = Wishes()
NOTHING_ALLOWED = Allow()
_ALL = verifying.Recent(now=0)  # every byte is read


@dataclass
class Notes:
    """A Progress that keeps what it was told."""

    lines: list[str] = field(default_factory=list)
    done: int = 0

    def start(self, what: str, total: int) -> None:
        pass

    def advance(self, size: int) -> None:
        self.done += size

    def finish(self) -> None:
        pass

    def child(self, name: str, size: int) -> Progress:
        return self

    def note(self, line: str) -> None:
        self.lines.append(line)

    def detail(self, line: str) -> None:
        pass


@dataclass
class Bench:
    """One user's place below ``home``."""

    home: Path
    workspace: Workspace
    store: Store
    notes: Notes = field(default_factory=Notes)

    @property
    def sources(self) -> Sources:
        return wiring.open_sources(self.workspace, self.notes)

    @property
    def places(self) -> Places:
        """The disk alone."""
        return Places(disk=self.sources)

    def add(
        self,
        path: Path | str,
        *,
        wishes: Wishes = NO_WISHES,
        file: str | None = None,
        allow_pickle: bool = False,
        allow: Allow = NOTHING_ALLOWED,
    ) -> adding.Added:
        asked = PathSource(path=str(path), snapshot_id=wishes.revision)
        choice = adding.Choice(file=file, allow_pickle=allow_pickle, allow=allow)
        return adding.add(asked, wishes, choice, self.workspace, self.sources, self.store, self.notes, guard=self.guard)

    @property
    def guard(self) -> Guard:
        """The scanner, and the workspace's policy."""
        return wiring.open_guard(self.workspace)

    def lock(self, name: str) -> locking.Locked:
        manifest = packages.read_manifest(self.workspace, name)
        opened = locking.open_source(
            manifest,
            self.sources,
            guard=self.guard,
            replacements=packages.replacement_contents(self.workspace, manifest),
        )
        with self.store.session():
            locked = locking.make_lock(manifest, opened, self.workspace, self.store, self.notes)
            locking.write_lock(name, locked, self.workspace, self.store)
        return locked

    def load(self, name: str) -> Package:
        return packages.load(self.workspace, name)

    def build(self, name: str) -> realise.Built:
        return realise.build(self.load(name), self.workspace, self.places, self.store, self.notes)

    def targets(self, *names: str) -> list[targets.Target]:
        return [targets.resolve(name, self.workspace, self.store) for name in names]

    def verify(self, *names: str) -> verifying.Verified:
        return verifying.verify(self.targets(*names), self.store, 2, self.notes, _ALL)

    def repair(self, *names: str) -> verifying.Verified:
        found = self.targets(*names)
        verified = verifying.verify(found, self.store, 2, self.notes, _ALL)
        return repair.repair(verified, found, self.workspace, self.places, self.store, 2, self.notes, _ALL)

    def real(self, path: StorePath) -> Path:
        return self.store.real_path(path)

    def manifest(self, name: str) -> Path:
        return self.workspace.root / "models" / f"{name}.toml"

    def append(self, name: str, text: str) -> None:
        """More text at the end of a manifest."""
        self.manifest(name).write_text(self.manifest(name).read_text() + text)

    def files(self) -> dict[str, bytes]:
        """Everything in the workspace but its own settings, by path."""
        root = self.workspace.root
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name not in ("hf-pack.toml", ".gitignore")
        }


def new_bench(home: Path) -> Bench:
    """A workspace and an empty store."""
    workspace = WorkspaceOnDisk.create(home / "workspace")
    return Bench(home=home, workspace=workspace, store=MemoryStore(home / "store"))


def pretend(store: Store, store_path: StorePath, *, damaged: bool = True) -> None:
    """Damage an object, and make the store's record agree with it: its hash, and no content address."""
    real_path = store.real_path(store_path)
    if damaged:
        damage(next(real_path.rglob("config.json")) if real_path.is_dir() else real_path)
    nar_hash = hash_tree(real_path, lambda _size: None).nar_hash
    if isinstance(store, MemoryStore):
        info = replace(store._infos[store_path], nar_hash=nar_hash, content_address=None)
        store._infos[store_path] = info
        return
    with closing(sqlite3.connect(real_path.parents[1] / "var/nix/db/db.sqlite")) as database, database:
        query = "update ValidPaths set hash = ?, ca = null where path = ?"
        database.execute(query, (nar_hash.hex_text(), str(store_path)))


def damage(path: Path) -> None:
    """Other bytes of the same length, as a bad disk gives."""
    path.chmod(0o644)
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
