"""Google's and Azure's object storage: published, listed, pulled; what broke off begins anew, by object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.azurite import NEEDS_AZURITE, Azurite, serving_azurite
from tests.cutting import a_way_to
from tests.embedded_stores import Quiet
from tests.end_to_end import Built, Place, new_place
from tests.gcs_server import GcsServer, serving_gcs
from tests.models import safetensors, tiny_model

from hf_pack.adapters.object_storage.opening import open_storage
from hf_pack.errors import IntegrityError
from hf_pack.ports import Readable
from hf_pack.steps.registries.joined import Joined

pytest.importorskip("moto")

MIB = 1 << 20
LARGE = 20 * MIB  #: two parts
SMALL = MIB
SLACK = MIB

Server = GcsServer | Azurite
SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {"gs": serving_gcs, "az": serving_azurite}


@pytest.fixture(scope="module", params=["gs", pytest.param("az", marks=NEEDS_AZURITE)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with SERVERS[request.param](tmp_path_factory.mktemp("server") / "files") as one:
        yield one


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Built]:
    place = new_place(tmp_path_factory.mktemp("place") / "home")
    sizes = (LARGE, *[SMALL] * 8)
    weights = {f"part-{n}.safetensors": safetensors({"w": ("U8", (size,))}, seed=n) for n, size in enumerate(sizes)}
    return place, place.package({**tiny_model(), **weights}, "tiny")


def environment(server: Server, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment(port).items():
        monkeypatch.setenv(name, value)


def test_published_listed_and_pulled(
    packed: tuple[Place, Built], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, built = packed
    environment(server, server.port, monkeypatch)
    url = server.cache("a/cache", server.port)
    (first,) = place.json("publish", "tiny", "--to", url)
    (second,) = place.json("publish", "tiny", "--to", url)
    assert first["objects_sent"] == 11 and (second["objects_sent"], second["bytes_sent"]) == (0, 0)
    assert place.run("search", "--from", url).startswith("tiny@")
    (pulled,) = place.json("pull", "tiny", "--from", url, "--store", tmp_path / "store")["packages"]
    assert pulled["nar_hash"] == built.nar_hash
    assert place.json("verify", built.store_path, "--store", tmp_path / "store")["ok"] is True


def test_a_publish_that_broke_off_sends_the_objects_that_were_under_way(
    packed: tuple[Place, Built], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, built = packed
    with a_way_to(server.port) as way:
        environment(server, way.port, monkeypatch)
        url = server.cache("cut", way.port)
        way.limit = LARGE + 4 * SMALL
        place.run("publish", "tiny", "--to", url, "--compression", "none", code=4)
        way.mend()
        storage = open_storage(url, where="here")
        sizes = [storage.size_of(key) or 0 for key in storage.keys("nar/") or ()]
        kept = sum(sizes)
        assert kept >= SMALL
        way.mend()  # what was asked for the sizes is not counted
        (shipped,) = place.json("publish", "tiny", "--to", url, "--compression", "none")
        assert shipped["bytes_sent"] <= shipped["closure_size"] - kept
        assert way.passed <= shipped["closure_size"] - kept + SLACK
        place.run("pull", built.store_path, "--from", url, "--store", tmp_path / "store")


def test_an_object_that_must_be_new_is_not_replaced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(server, server.port, monkeypatch)
    storage = open_storage(server.cache("new", server.port), where="here")
    assert storage.put("a+b/c", b"one", replace=False)
    assert not storage.put("a+b/c", b"two", replace=False)
    assert storage.small("a+b/c") == b"one" and storage.small("a+b/d") is None
    assert storage.put("a+b/c", b"three") and storage.small("a+b/c") == b"three"
    assert storage.keys("a+b/") == ("a+b/c",) and storage.size_of("a+b/c") == 5


class Damaged:
    """Two parts, of which the end turns out to be wrong."""

    size = LARGE

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        yield bytes(LARGE - 1)
        raise IntegrityError("other bytes than it must have")


@pytest.mark.parametrize("contents", [Damaged(), Joined((bytes(LARGE),))], ids=["damaged", "whole"])
def test_what_is_damaged_here_is_not_there(contents: Readable, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(server, server.port, monkeypatch)
    storage = open_storage(server.cache("damaged", server.port), where="here")
    if isinstance(contents, Damaged):
        with pytest.raises(IntegrityError):
            storage.upload("nar/damaged", contents, Quiet())
        assert storage.size_of("nar/damaged") is None
    else:
        assert storage.upload("nar/whole", contents, Quiet()) == LARGE
        assert b"".join(map(bytes, storage.chunks("nar/whole", LARGE - 9, 5))) == bytes(5)
