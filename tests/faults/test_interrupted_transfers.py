"""Publish and pull that end at twenty moments each, for each kind of place: by a kill of either side or of the way
between them. The next run finishes, and sends or fetches no more than what the first had not brought to its place."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import pytest
from tests.cutting import Way, a_way_to
from tests.embedded_stores import Quiet
from tests.end_to_end import Built, Place, new_place
from tests.faults.failing import KILL, Driver, Ended, driver
from tests.models import safetensors, tiny_model
from tests.registries import NEEDS_REGISTRY, Server, registry
from tests.s3_server import BUCKET, S3Server, client, serving_s3

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk.received_parts import ReceivedParts
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import StorePath

MOMENTS = 20
AT_ONCE = 4  #: moments that are tried side by side; blobs that a command sends or fetches side by side
MIB = 1 << 20
SMALL = MIB  #: bytes of a blob that goes as one
MIDDLE = 4 * MIB  #: bytes of a blob of which a part may be there
LARGE = 18 * MIB  #: bytes of a blob that is two parts of an upload to S3
SLACK = MIB  #: bytes of requests, headers, documents, the tree


@dataclass(frozen=True)
class Moment:
    """``share`` of the way, from 0 to 1; ``how`` is ``killed`` for the command, ``cut``, or ``server killed``."""

    number: int
    how: str
    share: float


def moments(*ways: str) -> tuple[Moment, ...]:
    """One at random in each twentieth of the way."""
    chosen = random.Random(6)
    return tuple(
        Moment(number, ways[number % len(ways)], (number + chosen.random()) / MOMENTS) for number in range(MOMENTS)
    )


@dataclass(frozen=True)
class Fresh(Place):
    """A publisher's place, with nothing remembered of earlier uploads."""

    memory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "XDG_CACHE_HOME": str(self.memory)}


@dataclass(frozen=True)
class Package:
    place: Place
    built: Built

    @classmethod
    def of(cls, home: Path, *sizes: int) -> Package:
        """A model whose weights have these sizes."""
        place = new_place(home)
        weights = {f"part-{n}.safetensors": safetensors({"w": ("U8", (size,))}, seed=n) for n, size in enumerate(sizes)}
        return cls(place, place.package({**tiny_model(), **weights}, "tiny"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package.of(tmp_path_factory.mktemp("small") / "home", *([SMALL] * 16))


@pytest.fixture(scope="module")
def middling(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package.of(tmp_path_factory.mktemp("middling") / "home", *([MIDDLE] * 6))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return Package.of(tmp_path_factory.mktemp("large") / "home", LARGE, *([SMALL] * 12))


Drivers = SimpleQueue[Driver]


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    free: Drivers = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            free.put(stack.enter_context(driver(tmp_path_factory.mktemp("driver"))))
        yield free


@contextmanager
def one_of(drivers: Drivers) -> Iterator[Driver]:
    one = drivers.get()
    try:
        yield one
    finally:
        drivers.put(one)


def at_each(chosen: tuple[Moment, ...], try_at: Callable[[Moment], None]) -> None:
    """Try all of them, several at once."""
    assert len(chosen) == MOMENTS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = list(pool.map(try_at, chosen))
    assert len(tried) == MOMENTS


def interrupted(
    moment: Moment, commands: Driver, place: Place, arguments: tuple[str, ...], count: int, way: Way | None, whole: int
) -> None:
    """The command, ended at the moment: of ``count`` changes and requests, or of ``whole`` bytes that go the way."""
    if moment.how == "killed":
        ended = commands.run(place, arguments, 1 + int(moment.share * count * 0.9), KILL)  # counts differ a little
        assert ended.code == -signal.SIGKILL, ended
        return
    assert way is not None
    way.limit = int(moment.share * whole)
    ended = commands.run(place, arguments)
    assert ended.code == 4 and "error" in json.loads(ended.out) and "Traceback" not in ended.err, ended
    assert way.is_broken


def succeeds(commands: Driver, place: Place, *arguments: str) -> Ended:
    ended = commands.run(place, arguments)
    assert ended.code == 0, ended
    return ended


class Side(Protocol):
    """Where packages are published to, each under a name of its own, and pulled from."""

    @property
    def in_flight(self) -> int:
        """Bytes that may have gone up in vain."""

    @property
    def port(self) -> int | None:
        """Of the server; None for a directory."""

    def address(self, name: str, port: int) -> str:
        """The URL of what is under the name, by way of a port."""

    def kept(self, name: str) -> int:
        """Bytes that are there, whole or as the part of an upload that can go on."""

    def contents(self, name: str) -> object:
        """What is there, in a form that is the same for the same contents. Nothing unfinished is left."""


@dataclass(frozen=True)
class Directory:
    """``file://``"""

    root: Path
    in_flight: int = 0
    port: None = None

    def address(self, name: str, port: int) -> str:
        return f"file://{self.root / name}"

    def kept(self, name: str) -> int:
        assert_nothing_dangles(self.root / name)
        whole = [path.stat().st_size for path in (self.root / name).glob("nar/*")]
        staged = [path.stat().st_size for path in (self.root / name).glob(".hf-pack-staging/*")]
        # A chunk of 1 MiB whose writing was cut short is written again.
        return sum(whole) + sum(max(0, size - MIB) for size in staged)

    def contents(self, name: str) -> object:
        assert_nothing_dangles(self.root / name)
        assert list((self.root / name).glob(".hf-pack-staging/*")) == []
        return sorted(path.name for path in (self.root / name).rglob("[!.]*"))


def assert_nothing_dangles(cache: Path) -> None:
    """Each narinfo leads to a whole NAR, and to narinfos of all that it refers to."""
    for path in cache.glob("*.narinfo"):
        info = NarInfo.parse(path.read_text())
        assert Hash.sha256_of((cache / info.url).read_bytes()) == info.file_hash
        assert all((cache / f"{reference.digest}.narinfo").exists() for reference in info.references)


@dataclass(frozen=True)
class Bucket:
    """``s3://``"""

    server: S3Server
    api: Any  #: somebody else's client of it
    in_flight: int = LARGE + AT_ONCE * SMALL

    @property
    def port(self) -> int:
        return self.server.port

    def address(self, name: str, port: int) -> str:
        return S3Server(port).cache(name)

    def kept(self, name: str) -> int:
        found = sum(one["Size"] for one in self._objects(name))
        for upload in self.api.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{name}/").get("Uploads", ()):
            parts = self.api.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
            found += sum(part["Size"] for part in parts.get("Parts", ()))
        return int(found)

    def contents(self, name: str) -> object:
        assert "Uploads" not in self.api.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{name}/")
        return [(one["Key"].removeprefix(name), one["Size"], one["ETag"]) for one in self._objects(name)]

    def _objects(self, name: str) -> list[Any]:
        found = self.api.list_objects_v2(Bucket=BUCKET, Prefix=f"{name}/").get("Contents", [])
        return [one for one in found if "/nar/" in one["Key"]]


@dataclass
class Repositories:
    """``oci://``: Debian's registry, which drops a blob whose upload broke off. It can be killed and started again."""

    directory: Path
    running: ExitStack
    server: Server = field(init=False)
    in_flight: int = AT_ONCE * SMALL

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.server = self.running.enter_context(registry(self.directory))

    @property
    def port(self) -> int:
        return self.server.port

    def address(self, name: str, port: int) -> str:
        return f"oci://127.0.0.1:{port}/{name}:1"

    def kept(self, name: str) -> int:
        return sum(self.server.blob(digest).stat().st_size for digest in self._blobs(name))

    def contents(self, name: str) -> object:
        return sorted(self._blobs(name))

    def _blobs(self, name: str) -> list[str]:
        root = self.directory / "docker" / "registry" / "v2" / "repositories" / name / "_layers" / "sha256"
        return [link.parent.name for link in root.glob("*/link") if link.stat().st_size]  # a kill leaves empty ones


def publish_at_each_moment(
    chosen: tuple[Moment, ...], side: Side, package: Package, drivers: Drivers, home: Path, *more: str
) -> None:
    """``server killed`` has a server of its own."""

    def publish(name: str, port: int) -> tuple[str, ...]:
        return ("publish", package.built.store_path, "--to", side.address(name, port), *more, "--json")

    with a_way_to(side.port or 0) as way, one_of(drivers) as commands:
        place = Fresh(package.place.home, home / "memory")
        ended = succeeds(commands, place, *publish("whole", way.port))
        count, whole = ended.count, way.passed
    expected, size = side.contents("whole"), side.kept("whole")

    def try_at(moment: Moment) -> None:
        name = f"at-{moment.number}"
        place = Fresh(package.place.home, home / name)
        with ExitStack() as stack:
            here = side
            if moment.how == "server killed":
                here = Repositories(home / f"{name}-registry", stack)
            way = stack.enter_context(a_way_to(here.port or 0))
            if isinstance(here, Repositories) and moment.how == "server killed":
                way.broken = here.server.process.kill
            commands = stack.enter_context(one_of(drivers))
            interrupted(moment, commands, place, publish(name, way.port), count, way, whole)
            passed, kept = way.passed, here.kept(name)
            assert passed - kept <= here.in_flight + SLACK, moment
            if isinstance(here, Repositories) and moment.how == "server killed":
                here.start()
                way.target = here.port
            way.mend()
            shipped = json.loads(succeeds(commands, place, *publish(name, way.port)).out)[0]
            assert shipped["bytes_sent"] <= size - kept, moment
            assert way.passed <= size - kept + SLACK, moment
            assert here.contents(name) == expected, moment

    at_each(chosen, try_at)


def test_publish_to_a_directory(middling: Package, drivers: Drivers, tmp_path: Path) -> None:
    side = Directory(tmp_path)
    publish_at_each_moment(moments("killed"), side, middling, drivers, tmp_path / "home", "--compression", "none")


def test_publish_to_s3(large: Package, drivers: Drivers, s3: Bucket, tmp_path: Path) -> None:
    publish_at_each_moment(moments("killed", "cut"), s3, large, drivers, tmp_path, "--compression", "none")


@NEEDS_REGISTRY
def test_publish_to_a_registry(small: Package, drivers: Drivers, tmp_path: Path) -> None:
    with ExitStack() as running:
        side = Repositories(tmp_path / "registry", running)
        chosen = moments("killed", "cut", "killed", "server killed")
        publish_at_each_moment(chosen, side, small, drivers, tmp_path, "--as", "modelpack")


def pull_at_each_moment(
    chosen: tuple[Moment, ...], side: Side, package: Package, drivers: Drivers, home: Path, *more: str
) -> None:
    """What is pulled was published under the name ``whole``."""
    place = Fresh(package.place.home, home / "memory")
    place.run("publish", package.built.store_path, "--to", side.address("whole", side.port or 0), *more)

    def pull(port: int) -> tuple[str, ...]:
        return ("pull", package.built.store_path, "--from", side.address("whole", port), "--json")

    with a_way_to(side.port or 0, down=True) as way, one_of(drivers) as commands:
        ended = succeeds(commands, new_box(home / "box"), *pull(way.port))
        count, whole = ended.count, way.passed
    size = json.loads(ended.out)["bytes_received"]
    kept: list[int] = []

    def try_at(moment: Moment) -> None:
        place = new_box(home / str(moment.number))
        with ExitStack() as stack:
            way = stack.enter_context(a_way_to(side.port or 0, down=True))
            commands = stack.enter_context(one_of(drivers))
            interrupted(moment, commands, place, pull(way.port), count, way, whole)
            here = received(place.store)
            kept.append(here)
            way.mend()
            brought = json.loads(succeeds(commands, place, *pull(way.port)).out)
            assert brought["bytes_received"] <= size - here + SLACK, moment
            assert way.passed <= size - here + SLACK, moment
        store = EmbeddedStore(place.store)
        paths = [StorePath.parse(package.built.store_path), *(info.store_path for info in store.all_paths())]
        assert all(store.check(path, Quiet()) == () for path in paths)
        # Of what became valid there may be a second link.
        left = (place.store / "nix/var/hf-pack/receiving").glob("*/data")
        assert all(data.stat().st_nlink > 1 for data in left), moment

    at_each(chosen, try_at)
    assert sum(kept) > MOMENTS * size // 4


def new_box(home: Path) -> Place:
    """A machine that has nothing."""
    place = Place(home)
    place.workspace.mkdir(parents=True)
    return place


def received(store: Path) -> int:
    """Bytes of weights that are in the store, valid or on their way."""
    if not (store / "nix/var/nix/db/schema").exists():
        return 0
    opened = EmbeddedStore(store)
    valid = [Path(opened.real_path(info.store_path)).stat() for info in opened.all_paths() if not info.references]
    here = sum(status.st_size for status in valid)
    for folder in (store / "nix/var/hf-pack/receiving").glob("*"):
        data = folder / "data"
        if (folder / "parts").is_file() and data.is_file():
            status = data.stat()
            parts = ReceivedParts.open(folder / "parts", status.st_size)
            if parts is not None:
                # A blob that was just made valid is a link to what was received.
                here += parts.received if status.st_ino not in {one.st_ino for one in valid} else 0
                parts.close()
    return here


def test_pull_from_a_directory(middling: Package, drivers: Drivers, tmp_path: Path) -> None:
    pull_at_each_moment(moments("killed"), Directory(tmp_path), middling, drivers, tmp_path, "--compression", "none")


def test_pull_from_s3(middling: Package, drivers: Drivers, s3: Bucket, tmp_path: Path) -> None:
    pull_at_each_moment(moments("killed", "cut"), s3, middling, drivers, tmp_path, "--compression", "none")


@NEEDS_REGISTRY
def test_pull_from_a_registry(middling: Package, drivers: Drivers, tmp_path: Path) -> None:
    with ExitStack() as running:
        side = Repositories(tmp_path / "registry", running)
        pull_at_each_moment(moments("killed", "cut"), side, middling, drivers, tmp_path, "--as", "image")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    pytest.importorskip("moto")
    with serving_s3() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield Bucket(server, client(server))
