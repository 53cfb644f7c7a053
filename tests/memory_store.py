"""A store for tests: what is valid is a dict, the objects are plain files in a directory.

A whole implementation of :class:`hf_pack.ports.Store`, as plain as can be; `test_store_contract.py` holds it and
the embedded store to the same rules.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.corpus import read_tree, write_tree

from hf_pack.disk.incoming import path_info_of, require_references
from hf_pack.disk.nar_on_disk import NarOnDisk
from hf_pack.errors import IntegrityError, StoreError
from hf_pack.formats import nar, nar_reader
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey
from hf_pack.formats.store_path import (
    StorePath,
    flat_content_address,
    parse_content_address,
    path_of_content_address,
    recursive_content_address,
    recursive_path,
)
from hf_pack.model.findings import Collection, Problem, Root
from hf_pack.model.lock import Blob
from hf_pack.model.path_info import PathInfo
from hf_pack.model.plan import Plan, RegularFile, Symlink
from hf_pack.model.proven_nar import ProvenNar, require_authentic
from hf_pack.ports import AddedBlob, AddedTree, ByteRange, FileToAdd, PackageFiles, Progress, Reception


class MemoryStore:
    """A store whose objects lie in ``directory``; a new value of it is an empty store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "nix" / "store"
        self._infos: dict[StorePath, PathInfo] = {}
        self._trees: dict[Hash, StorePath] = {}
        self._roots: dict[Path, frozenset[StorePath]] = {}
        self._receptions: dict[Blob, MemoryReception] = {}
        self._sessions = 0
        self._protected: set[StorePath] = set()

    @property
    def url(self) -> str:
        return "memory"

    def real_path(self, store_path: StorePath) -> Path:
        return self._directory / store_path.base_name

    def path_info(self, store_path: StorePath) -> PathInfo | None:
        return self._infos.get(store_path)

    def valid_paths(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        return frozenset(among) & self._infos.keys()

    def all_paths(self) -> tuple[PathInfo, ...]:
        return tuple(info for _, info in sorted(self._infos.items()))

    def named(self, name: str) -> tuple[StorePath, ...]:
        return tuple(sorted(path for path in self._infos if path.name == name))

    def with_digest(self, digest: str) -> StorePath | None:
        return next((path for path in self._infos if path.digest == digest), None)

    def nar(self, store_path: StorePath) -> NarOnDisk:
        return NarOnDisk(self.real_path(store_path))

    @contextmanager
    def session(self) -> Iterator[None]:
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1
            if not self._sessions:
                self._protected.clear()

    def keep(self, store_paths: Iterable[StorePath]) -> frozenset[StorePath]:
        wanted = frozenset(store_paths)
        self._protected |= wanted if self._sessions else set()
        return self.valid_paths(wanted)

    def hold(self, store_paths: Iterable[StorePath]) -> None:
        self._protected.update(store_paths)

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        return tuple(self._add_blob(file, progress) for file in files)

    def _add_blob(self, file: FileToAdd, progress: Progress) -> AddedBlob:
        if file.expected is not None:
            known = Blob(name=file.name, sha256=file.expected, size=0)
            if self._has(known):
                size = self.real_path(known.store_path).stat().st_size
                blob = Blob(name=file.name, sha256=file.expected, size=size)
                return AddedBlob(blob=blob, bytes_read=0, bytes_written=0)
        contents = _proven(file, file.expected)
        progress.advance(len(contents))
        blob = Blob(name=file.name, sha256=Hash.sha256_of(contents), size=len(contents))
        is_new = not self._has(blob)
        if is_new:
            self._put_blob(blob, contents)
        return AddedBlob(blob=blob, bytes_read=len(contents), bytes_written=len(contents) if is_new else 0)

    def _has(self, blob: Blob) -> bool:
        """Whether the blob is valid by its content; it is protected then."""
        self.keep([blob.store_path])
        info = self._infos.get(blob.store_path)
        return info is not None and info.content_address == flat_content_address(blob.sha256)

    def _put_blob(self, blob: Blob, contents: bytes) -> None:
        real_path = self.real_path(blob.store_path)
        _remove(real_path)
        real_path.parent.mkdir(parents=True, exist_ok=True)
        real_path.write_bytes(contents)
        nar_hash, nar_size = nar.hash_and_size(nar.NarFile(contents))
        self._register(blob.store_path, nar_hash, nar_size, (), flat_content_address(blob.sha256))

    @contextmanager
    def receive(self, blob: Blob, *, repair: bool = False) -> Iterator[Reception | None]:
        if self._has(blob) and not repair:
            yield None
            return
        yield self._receptions.setdefault(blob, MemoryReception(blob, self._received))

    def _received(self, blob: Blob, contents: bytes) -> None:
        del self._receptions[blob]
        self._put_blob(blob, contents)

    def add_tree(self, plan: Plan, progress: Progress) -> AddedTree:
        known = plan.store_path() or self._trees.get(plan.digest())
        if known is not None and known in self.keep([known]):
            return AddedTree(info=self._infos[known], bytes_read=0, bytes_written=0)
        if absent := {blob.store_path for blob in plan.blobs} - self._infos.keys():
            raise StoreError(f"{plan.name} needs a blob that is not in the store\n  {min(absent)}")
        info = self._put_tree(plan)
        inside = sum(entry.contents.size for entry in _files(plan) if isinstance(entry.contents, Blob))
        text = sum(len(entry.contents) for entry in _files(plan) if isinstance(entry.contents, bytes))
        return AddedTree(info=info, bytes_read=inside, bytes_written=text + inside)

    def find_tree(self, plan: Plan, claimed: StorePath | None = None) -> AddedTree | None:
        known = plan.store_path() or self._trees.get(plan.digest())
        for path in (known, claimed):
            if path is not None and path in self.keep([path]) and (path == known or not self.compare(plan, path)):
                self._trees[plan.digest()] = path
                info = self._infos[path]
                return AddedTree(info=info, bytes_read=0 if path == known else info.nar_size, bytes_written=0)
        return None

    @property
    def streamer(self) -> None:
        return None

    def substitute(self, sizes: Mapping[StorePath, int], progress: Progress) -> frozenset[StorePath]:
        return frozenset()

    def _put_tree(self, plan: Plan) -> PathInfo:
        tree = plan.nar_tree(lambda blob: [self.real_path(blob.store_path).read_bytes()])
        nar_hash, nar_size = nar.hash_and_size(tree)
        store_path = recursive_path(plan.name, nar_hash, plan.references)
        real_path = self.real_path(store_path)
        _remove(real_path)
        for entry in plan.entries:
            path = real_path / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            match entry:
                case Symlink():
                    path.symlink_to(entry.target)
                case RegularFile(contents=bytes() as contents):
                    path.write_bytes(contents)
                case RegularFile(contents=Blob() as blob):
                    shutil.copyfile(self.real_path(blob.store_path), path)
        self._trees[plan.digest()] = store_path
        self.keep([store_path])
        return self._register(store_path, nar_hash, nar_size, plan.references, recursive_content_address(nar_hash))

    def _register(
        self, path: StorePath, nar_hash: Hash, nar_size: int, references: tuple[StorePath, ...], address: str
    ) -> PathInfo:
        self._infos[path] = PathInfo(
            store_path=path,
            nar_hash=nar_hash,
            nar_size=nar_size,
            references=references,
            content_address=address,
            registration_time=1,
        )
        return self._infos[path]

    def add_object(
        self,
        info: NarInfo,
        nar: Iterable[bytes | memoryview],
        *,
        trusted_keys: Sequence[PublicKey] = (),
        repair: bool = False,
    ) -> None:
        if info.store_path in self.keep([info.store_path, *info.references]) and not repair:
            return
        if self._infos.get(info.store_path) is None or self._infos[info.store_path].nar_hash != info.nar_hash:
            require_authentic(info, trusted_keys)
        require_references(info, self._infos.keys())
        data = b"".join(ProvenNar(info, nar).raw())
        _remove(self.real_path(info.store_path))
        self._directory.mkdir(parents=True, exist_ok=True)
        write_tree(nar_reader.parse(data), self.real_path(info.store_path))
        self._infos[info.store_path] = replace(path_info_of(info), registration_time=1)

    def check(self, store_path: StorePath, progress: Progress, *, sha256: Hash | None = None) -> tuple[Problem, ...]:
        info = self._infos.get(store_path)
        if info is None:
            return (Problem(store_path=store_path, path="", problem="it is not in the store"),)
        try:
            tree = read_tree(self.real_path(store_path))
        except FileNotFoundError:
            return (Problem(store_path=store_path, path="", problem="it is not on disk"),)
        found, size = nar.hash_and_size(tree)
        progress.advance(size)
        problems = []
        if found != info.nar_hash:
            problems.append(f"NAR hash: expected {info.nar_hash.sri()}, found {found.sri()}")
        elif sha256 is not None and not (isinstance(tree, nar.NarFile) and sha256 == Hash.sha256_of(tree.contents)):
            problems.append(f"sha256: expected {sha256.hex()}, found something else")
        if info.content_address is not None:
            address = parse_content_address(info.content_address)
            if path_of_content_address(store_path.name, address, info.references) != store_path:
                problems.append("content address: that of another path")
        return tuple(Problem(store_path=store_path, path="", problem=problem) for problem in problems)

    def proved(self, objects: Mapping[StorePath, Hash | None]) -> dict[StorePath, int]:
        return {}  # it remembers nothing

    def replace_blob(self, file: FileToAdd, blob: Blob, progress: Progress) -> None:
        self._put_blob(blob, _proven(file, blob.sha256))

    def replace_tree(self, plan: Plan, progress: Progress) -> None:
        self._put_tree(plan)

    def compare(self, plan: Plan, store_path: StorePath) -> tuple[Problem, ...]:
        tree = self.real_path(store_path)
        expected = {entry.path: entry for entry in plan.entries}
        found = {
            Path(parent, name).relative_to(tree).as_posix()
            for parent, directories, files in os.walk(tree)
            for name in (*files, *(name for name in directories if Path(parent, name).is_symlink()))
        }
        words = {
            **dict.fromkeys(expected.keys() - found, "is missing"),
            **dict.fromkeys(found - expected.keys(), "does not belong to the package"),
            **{path: "is not as planned" for path in found & expected.keys() if not _is(tree / path, expected[path])},
        }
        return tuple(
            Problem(store_path=store_path, path=path, problem=problem) for path, problem in sorted(words.items())
        )

    def package_files(self, store_path: StorePath) -> PackageFiles | None:
        tree = self.real_path(store_path)
        provenance = sorted(tree.glob("share/*/hf-pack.json"))
        files = [*tree.glob("share/models/hub/models--*/snapshots/*"), *tree.glob("share/models/*/weights")]
        if not provenance or not files:
            return None
        place = files[0].relative_to(tree).as_posix()
        triton = [path.parent.name for path in tree.glob("share/models/*/config.pbtxt")]
        return PackageFiles(
            provenance=provenance[0].relative_to(tree).as_posix(),
            files=place,
            triton_model_name=triton[0] if triton else None,
            build_version=next((int(path.name[19:]) for path in tree.glob("share/*/flox-build-version-*")), None),
        )

    def read(self, store_path: StorePath, inside: str = "", *, offset: int = 0, size: int | None = None) -> bytes:
        try:
            contents = (self.real_path(store_path) / inside).read_bytes()
        except OSError as error:
            raise StoreError(f"{store_path}/{inside}: {error.strerror}") from None
        return contents[offset : None if size is None else offset + size]

    def add_root(self, owner: Path, store_paths: Iterable[StorePath]) -> None:
        wanted = frozenset(store_paths)
        if absent := wanted - self._infos.keys():
            raise StoreError(f"only a path that is in the store can be rooted\n  {min(absent)}")
        self._roots[owner] = wanted

    def roots(self) -> tuple[Root, ...]:
        lasting = [(path, str(owner)) for owner in self._roots if os.path.lexists(owner) for path in self._roots[owner]]
        passing: list[tuple[StorePath, str | None]] = [(path, None) for path in self._protected & self._infos.keys()]
        return tuple(
            Root(store_path=path, declared_at=owner or "session", owner=owner) for path, owner in [*lasting, *passing]
        )

    def collect_garbage(self, *, dry_run: bool) -> Collection:
        waiting = [root.store_path for root in self.roots()]
        kept: set[StorePath] = set()
        while waiting:
            path = waiting.pop()
            if path not in kept:
                kept.add(path)
                waiting += self._infos[path].references
        dead = tuple(sorted(self._infos.keys() - kept))
        freed = sum(self._infos[path].nar_size for path in dead)
        if not dry_run:
            for path in dead:
                _remove(self.real_path(path))
                del self._infos[path]
        return Collection(deleted=dead, kept=len(kept), freed=freed)


class MemoryReception:
    """A blob on its way, as one part; it lives as long as its store."""

    def __init__(self, blob: Blob, received: Callable[[Blob, bytes], None]) -> None:
        self._blob = blob
        self._received = received
        self._here = b""

    @property
    def missing(self) -> tuple[ByteRange, ...]:
        rest = self._blob.size - len(self._here)
        return (ByteRange(len(self._here), rest),) if rest else ()

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset > len(self._here) or offset + len(data) > self._blob.size:
            raise ValueError(f"{self._blob.name}: bytes from {offset} on do not follow what is here")
        self._here += bytes(data[len(self._here) - offset :])

    def discard(self) -> None:
        self._here = b""

    def finish(self) -> AddedBlob:
        if self.missing:
            raise ValueError(f"{self._blob.name} is not complete")
        contents = self._here
        if Hash.sha256_of(contents) != self._blob.sha256:
            self.discard()
            raise IntegrityError(f"{self._blob.name}: other bytes than expected")
        self._received(self._blob, contents)
        return AddedBlob(blob=self._blob, bytes_read=len(contents), bytes_written=len(contents))


def _proven(file: FileToAdd, expected: Hash | None) -> bytes:
    try:
        contents = file.real_path.read_bytes()
    except OSError as error:
        raise StoreError(f"{file.real_path}: {error.strerror}") from None
    found = Hash.sha256_of(contents)
    if expected not in (None, found):
        raise IntegrityError(f"{file.real_path}: other bytes than expected, found sha256 {found.hex()}")
    return contents


def _files(plan: Plan) -> list[RegularFile]:
    return [entry for entry in plan.entries if isinstance(entry, RegularFile)]


def _is(path: Path, entry: RegularFile | Symlink) -> bool:
    if isinstance(entry, Symlink):
        return path.is_symlink() and str(path.readlink()) == entry.target
    if path.is_symlink() or not path.is_file():
        return False
    contents = path.read_bytes()
    if isinstance(entry.contents, bytes):
        return contents == entry.contents
    return Hash.sha256_of(contents) == entry.contents.sha256


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
