"""Where bytes come from when the manifest's directory lacks them, and what a broken place does: nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.bench import Notes
from tests.memory_store import MemoryStore

from hf_pack.errors import Error, HubError, StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.ports import AddedBlob, FileToAdd, Progress, Reception, WantedBlob
from hf_pack.steps.building.fetch import Elsewhere, fetch

CONTENTS = [f"weights {number}".encode() * (number + 1) for number in range(4)]


def wanted(number: int) -> WantedBlob:
    data = CONTENTS[number]
    blob = Blob(name=f"m{number}.safetensors", sha256=Hash.sha256_of(data), size=len(data))
    return WantedBlob(blob=blob, repo_id=RepoId.parse("a/b"), commit_hash="0" * 40, path=blob.name)


ALL = [wanted(number) for number in range(len(CONTENTS))]


class Counting(MemoryStore):
    """Knows how many files each call brought, and whether a place was being kept meanwhile."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.calls: list[int] = []
        self.broken: OSError | None = None  #: what every write meets

    def add_blobs(self, files: Sequence[FileToAdd], progress: Progress) -> tuple[AddedBlob, ...]:
        self.calls.append(len(files))
        if self.broken is not None:
            raise StoreError(f"cannot add files to the store: {self.broken.strerror}") from self.broken
        return super().add_blobs(files, progress)


@dataclass
class Folder:
    """A BlobFinder: files in a directory, by their names."""

    directory: Path
    broken: Error | None = None
    vanish: set[str] = field(default_factory=set)  #: files that are gone as soon as they were found
    open_sessions: int = 0

    @property
    def name(self) -> str:
        return self.directory.name

    @contextmanager
    def session(self) -> Iterator[None]:
        self.open_sessions += 1
        try:
            yield
        finally:
            self.open_sessions -= 1

    def find(self, wanted: WantedBlob) -> Path | None:
        assert self.open_sessions == 1
        if self.broken is not None:
            raise self.broken
        place = self.directory / wanted.path
        if not place.exists():
            return None
        if wanted.path in self.vanish:
            place.unlink()
        return place


@dataclass
class Network:
    """A BlobSource that has everything."""

    name: str = "network"
    asked: list[str] = field(default_factory=list)

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        self.asked.append(wanted.path)
        into.write(0, CONTENTS[ALL.index(wanted)])
        progress.advance(wanted.blob.size)
        return True

    def stop(self) -> None: ...


def folder(directory: Path, *, without: Sequence[int] = ()) -> Folder:
    directory.mkdir()
    for number, data in enumerate(CONTENTS):
        if number not in without:
            (directory / ALL[number].path).write_bytes(data)
    return Folder(directory)


def holds_all(store: MemoryStore) -> bool:
    return [store.read(one.blob.store_path) for one in ALL] == CONTENTS


def test_what_one_place_has_comes_in_one_go(tmp_path: Path) -> None:
    store, network, notes = Counting(tmp_path), Network(), Notes()
    places = (folder(tmp_path / "one", without=[0, 1]), folder(tmp_path / "two", without=[0]))
    added = fetch(ALL, Elsewhere(finders=places, sources=(network,)), store, notes)
    assert store.calls == [2, 1]
    assert network.asked == [ALL[0].path]
    assert holds_all(store)
    assert sorted(one.blob.name for one in added) == [one.path for one in ALL]
    assert notes.lines == []


def test_other_bytes_under_a_name_do_not_spoil_the_others(tmp_path: Path) -> None:
    store, network, notes = Counting(tmp_path), Network(), Notes()
    place = folder(tmp_path / "one")
    (place.directory / ALL[1].path).write_bytes(b"x" * len(CONTENTS[1]))
    fetch(ALL, Elsewhere(finders=(place,), sources=(network,)), store, notes)
    assert network.asked == [ALL[1].path]
    assert holds_all(store)
    assert notes.lines == [f"note: one has other bytes under the name of {ALL[1].path}; left alone"]


def test_a_file_that_is_gone_again_comes_from_the_next_place(tmp_path: Path) -> None:
    store, network, notes = Counting(tmp_path), Network(), Notes()
    place = folder(tmp_path / "one")
    place.vanish = {ALL[2].path}
    fetch(ALL, Elsewhere(finders=(place,), sources=(network,)), store, notes)
    assert network.asked == [ALL[2].path]
    assert holds_all(store)
    (line,) = notes.lines
    assert line.startswith(f"note: one does not give {ALL[2].path}: ") and "No such file" in line


def test_a_broken_place_is_passed_over_and_said_once(tmp_path: Path) -> None:
    store, network, notes = Counting(tmp_path), Network(), Notes()
    broken = folder(tmp_path / "one")
    broken.broken = StoreError("the database is damaged\n  at /somewhere", hint="mend it")
    elsewhere = Elsewhere(
        finders=(broken, folder(tmp_path / "two", without=[3])), sources=(network,), notes=("note: a third",)
    )
    fetch(ALL, elsewhere, store, notes)
    assert network.asked == [ALL[3].path]
    assert holds_all(store)
    assert notes.lines == ["note: a third", "note: one is passed over: the database is damaged"]


def test_a_store_that_is_full_ends_it_at_once(tmp_path: Path) -> None:
    store, network = Counting(tmp_path), Network()
    store.broken = OSError(errno.ENOSPC, "No space left on device")
    place = folder(tmp_path / "one")
    with pytest.raises(StoreError, match="No space left"):
        fetch(ALL, Elsewhere(finders=(place,), sources=(network,)), store, Notes())
    assert (store.calls, network.asked, place.open_sessions) == ([4], [], 0)


def test_a_disk_that_fails_is_passed_over(tmp_path: Path) -> None:
    store, network, notes = Counting(tmp_path), Network(), Notes()
    store.broken = OSError(errno.EIO, "Input/output error")
    fetch(ALL, Elsewhere(finders=(folder(tmp_path / "one"),), sources=(network,)), store, notes)
    assert holds_all(store)
    assert len(notes.lines) == len(ALL)


def test_without_a_network_what_is_nowhere_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path / "one", without=[1])
    with pytest.raises(HubError, match="1 file is not on this machine") as caught:
        fetch(ALL, Elsewhere(finders=(place,)), Counting(tmp_path), Notes())
    assert ALL[1].path in caught.value.message
