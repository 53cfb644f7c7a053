"""A publish that is killed at any moment leaves a cache that is sound, and the next one sends what is missing alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end import Place, new_place
from tests.models import filler, safetensors, tiny_model
from tests.s3_server import BUCKET, S3Server, client, serving_s3

from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo

SCRIPTS = Path(__file__).parent / "scripts"
NAME = "tiny"
MOMENTS = 10
MIB = 1 << 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One package with a blob of 36 MiB, three parts of an upload, and two small ones."""
    place = new_place(tmp_path_factory.mktemp("place"))
    large = safetensors({"w": ("U8", (36 * MIB,))})
    index = json.dumps({"metadata": {}, "weight_map": {}}).encode()
    files = {**tiny_model(shards=2), "extra/big.safetensors": large, "extra/notes.json": index, "x.txt": filler(9)}
    place.package(files, NAME)
    return place


def publish(place: Place, cache: str, script: str, moment: int) -> int:
    counter = place.home / "count"
    process = place.start("publish", NAME, "--to", cache, wrapper=[str(SCRIPTS / script), str(moment), str(counter)])
    _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return int(counter.read_text()) if moment == 0 else process.returncode


def moments(number: int) -> Iterator[int]:
    return (1 + index * (number - 1) // (MOMENTS - 1) for index in range(MOMENTS))


def test_to_a_directory(place: Place, tmp_path: Path) -> None:
    number = publish(place, f"file://{tmp_path}/whole", "kill_at.py", 0)
    for moment in moments(number):
        root = tmp_path / f"killed-at-{moment}"
        assert publish(place, f"file://{root}", "kill_at.py", moment) == -signal.SIGKILL
        assert_nothing_dangles(root)
        staged = sum(path.stat().st_size for path in root.glob(".hf-pack-staging/*"))
        there = sum(path.stat().st_size for path in root.glob("nar/*"))
        (shipped,) = place.json("publish", NAME, "--to", f"file://{root}")
        assert_nothing_dangles(root)
        whole = sum(path.stat().st_size for path in root.glob("nar/*"))
        assert shipped["bytes_sent"] == whole - there - staged
        assert list(root.glob(".hf-pack-staging/*")) == [] and len(list(root.glob("*.narinfo"))) == 4
        for path in root.rglob("*"):
            if path.is_file():
                path.unlink()


def assert_nothing_dangles(root: Path) -> None:
    """Each narinfo leads to a whole NAR, and to narinfos of all that it refers to."""
    for path in root.glob("*.narinfo"):
        info = NarInfo.parse(path.read_text())
        data = (root / info.url).read_bytes()
        assert Hash.sha256_of(data) == info.file_hash
        assert all((root / f"{reference.digest}.narinfo").exists() for reference in info.references)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto")
    with serving_s3() as server:
        yield server


def test_to_s3(place: Place, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    number = publish(place, s3.cache("whole"), "kill_at_request.py", 0)
    server = client(s3)
    for moment in moments(number):
        prefix = f"killed-at-{moment}"
        cache = s3.cache(prefix)
        assert publish(place, cache, "kill_at_request.py", moment) == -signal.SIGKILL
        there = stored(server, f"{prefix}/nar/")
        parts = 0
        for upload in server.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads", ()):
            listed = server.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
            parts += sum(part["Size"] for part in listed.get("Parts", ()))
        (shipped,) = place.json("publish", NAME, "--to", cache)
        # A part that was under way may have arrived since it was looked at.
        assert shipped["bytes_sent"] <= stored(server, f"{prefix}/nar/") - there - parts
        assert "Uploads" not in server.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        assert place.run("search", "--from", cache).startswith(f"{NAME}@")
    assert [one["Size"] for one in contents(server, "whole/nar/")] == [
        one["Size"] for one in contents(server, "killed-at-1/nar/")
    ]


def contents(server, prefix: str):  # type: ignore[no-untyped-def]
    return server.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])


def stored(server, prefix: str) -> int:  # type: ignore[no-untyped-def]
    return sum(one["Size"] for one in contents(server, prefix))
