"""A pull that ends at any moment, by a kill of its process or of its connection: the next one goes on."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet
from tests.end_to_end import STORAGES, Place
from tests.recording import Recorder, recording

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk.received_parts import ReceivedParts
from hf_pack.formats.store_path import StorePath

MOMENTS = 5  #: of each way to end, for each kind of package
SHARD = 12 << 20
SLACK = 1 << 20  #: narinfos, headers, the tree or its structure


@pytest.fixture(scope="module", params=STORAGES)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache with a package of three shards, and the package's store path."""
    place = Place(tmp_path_factory.mktemp("publisher"))
    place.workspace.mkdir()
    place.run("init")
    files = {
        "config.json": b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}',
        **{f"model-{n}.safetensors": _shard(n) for n in range(3)},
    }
    model = place.home / "model"
    model.mkdir()
    for name, contents in files.items():
        (model / name).write_bytes(contents)
    place.add(model, "tiny", "--repo-id", "acme/tiny", storage=request.param)
    built = place.build("tiny")
    place.run(
        "publish", "tiny", "--to", f"file://{place.home}/cache", "--compression", "none", "--allow-redistribution"
    )
    return place.home / "cache", built.store_path


def _shard(seed: int) -> bytes:
    header = b'{"x":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (SHARD, SHARD)
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(SHARD)


def _box(home: Path) -> Place:
    place = Place(home)
    place.workspace.mkdir(parents=True)
    return place


def _here(store: Path) -> int:
    """Bytes of weights that are in the store, valid or on their way."""
    here = sum(path.stat().st_size for path in (store / "nix/store").glob("*.safetensors"))
    for folder in (store / "nix/var/hf-pack/receiving").glob("*"):
        if (folder / "parts").is_file() and (folder / "data").is_file():
            parts = ReceivedParts.open(folder / "parts", (folder / "data").stat().st_size)
            if parts is not None:
                here += parts.received
                parts.close()
    return here


def _finished(place: Place, store_path: str, server: Recorder, whole: int) -> None:
    """The second run brings what is not here and no more than that, and what it made is sound."""
    here = _here(place.store)
    server.gate = lambda path, total: True
    server.clear()
    place.run("pull", store_path, "--from", server.url)
    assert server.total <= whole - here + SLACK
    store = EmbeddedStore(place.store)
    paths = [StorePath.parse(store_path), *(info.store_path for info in store.all_paths())]
    assert all(store.check(path, Quiet()) == () for path in paths)
    assert list((place.store / "nix/var/hf-pack/receiving").glob("*")) == []


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_the_second_run_finishes_what_the_first_began(how: str, published: tuple[Path, str], tmp_path: Path) -> None:
    cache, store_path = published
    moments = random.Random(6)
    with recording(cache) as server:
        first = _box(tmp_path / "whole")
        first.run("pull", store_path, "--from", server.url)
        whole = server.total
        assert whole < 3 * SHARD + (1 << 20)
        for number in range(MOMENTS):
            place = _box(tmp_path / str(number))
            server.clear()
            moment = moments.randrange(whole)
            if how == "killed":
                _kill_at(moment, place, store_path, server)
            else:
                server.gate = lambda path, total, moment=moment: total < moment  # type: ignore[misc]
                place.run("pull", store_path, "--from", server.url, code=4)
            _finished(place, store_path, server, whole)


def _kill_at(moment: int, place: Place, store_path: str, server: Recorder) -> None:
    process = place.start("pull", store_path, "--from", server.url)

    def gate(path: str, total: int) -> bool:
        if total >= moment:
            os.kill(process.pid, signal.SIGKILL)
            return False
        return True

    server.gate = gate
    process.communicate()
    assert process.returncode == -signal.SIGKILL
