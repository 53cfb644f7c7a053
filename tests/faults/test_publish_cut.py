"""A publish whose connection breaks, or whose server dies, at a random moment: the next one sends what is missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cutting import Way, a_way_to
from tests.end_to_end import Built, Place, new_place
from tests.models import safetensors, tiny_model
from tests.registries import NEEDS_REGISTRY, registry
from tests.s3_server import BUCKET, S3Server, client, serving_s3

MIB = 1 << 20
PART = 16 * MIB  #: of an upload to S3
MOMENTS = 7  #: of each way
SLACK = MIB  #: requests, headers, documents
SIZES = (36 * MIB, 9 * MIB, 9 * MIB)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Built]:
    """One blob that is three parts of an upload to S3, and two that are one each."""
    place = new_place(tmp_path_factory.mktemp("publisher") / "home")
    large = {f"part-{n}.safetensors": safetensors({"w": ("U8", (size,))}, seed=n) for n, size in enumerate(SIZES)}
    return place, place.package({**tiny_model(), **large}, "tiny")


def moments() -> Iterator[int]:
    chosen = random.Random(11)
    return (chosen.randrange(sum(SIZES)) for _ in range(MOMENTS))


def test_to_s3(packed: tuple[Place, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moto")
    place, built = packed
    with serving_s3() as server, a_way_to(server.port) as way:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        through = S3Server(way.port)
        for number, moment in enumerate(moments()):
            prefix = f"cut-{number}"
            way.mend()
            way.limit = moment
            publish = ("publish", "tiny", "--to", through.cache(prefix), "--compression", "none")
            place.run(*publish, code=4)
            here = _in_s3(server, prefix)
            way.mend()
            (shipped,) = place.json(*publish)
            whole = _in_s3(server, prefix)
            assert shipped["bytes_sent"] <= whole - here
            assert way.up <= whole - here + SLACK
            # Of what went up before it broke, only the parts that were under way are sent again.
            assert moment - here <= 4 * PART + SLACK
        place.run("pull", built.store_path, "--from", server.cache("cut-0"), "--store", tmp_path / "store")


def _in_s3(server: S3Server, prefix: str) -> int:
    """Bytes of NARs that are there, whole or in parts."""
    api = client(server)
    found = sum(one["Size"] for one in api.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/nar/").get("Contents", []))
    for upload in api.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/").get("Uploads", ()):
        parts = api.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        found += sum(part["Size"] for part in parts.get("Parts", ()))
    return int(found)


@NEEDS_REGISTRY
@pytest.mark.parametrize("how", ["cut", "killed"])
def test_to_a_registry(how: str, packed: tuple[Place, Built], tmp_path: Path) -> None:
    """Debian's registry drops a blob whose upload broke off, so that what is sent again is the blobs under way."""
    place, built = packed
    for number, moment in enumerate(moments()):
        directory = tmp_path / "registry" / str(number)
        with registry(directory) as server, a_way_to(server.port) as way:
            way.limit = moment
            if how == "killed":
                way.broken = server.process.kill
            place.run("publish", "tiny", "--to", f"oci://127.0.0.1:{way.port}/tiny:1", "--as", "modelpack", code=4)
            _end(place, built, directory, way, how, server.port)


def _end(place: Place, built: Built, directory: Path, way: Way, how: str, port: int) -> None:
    there = sum(path.stat().st_size for path in (directory / "docker").rglob("data") if "_uploads" not in path.parts)
    way.mend()
    if how == "killed":
        with registry(directory) as again:
            way.target = again.port
            _second(place, built, directory, way, there)
    else:
        assert way.target == port
        _second(place, built, directory, way, there)


def _second(place: Place, built: Built, directory: Path, way: Way, there: int) -> None:
    address = f"oci://127.0.0.1:{way.port}/tiny:1"
    (published,) = place.json("publish", "tiny", "--to", address, "--as", "modelpack")
    assert published["bytes_sent"] <= published["bytes_total"] - there + SLACK
    assert way.up <= published["bytes_total"] - there + SLACK
    place.run("pull", built.store_path, "--from", address, "--store", directory / "store")
