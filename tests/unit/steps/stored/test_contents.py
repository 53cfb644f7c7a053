from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.memory_store import MemoryStore
from tests.models import tiny_model, write_flat

from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.steps.stored.contents import LockedContents

SHARDS = tiny_model(shards=3)
NAMES = sorted(name for name in SHARDS if name.endswith(".safetensors"))


class CountingStore(MemoryStore):
    """Counts how often it is asked what is valid."""

    asked = 0

    def path_info(self, store_path: StorePath) -> PathInfo | None:
        self.asked += 1
        return super().path_info(store_path)

    def valid_paths(self, among: Iterable[StorePath]) -> frozenset[StorePath]:
        self.asked += 1
        return super().valid_paths(among)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.store = CountingStore(tmp_path / "store")
    bench.add(write_flat(tmp_path / "acme--m", SHARDS))
    return bench


def contents_of(bench: Bench) -> LockedContents:
    package = bench.load("m")
    return LockedContents(lock=package.lock, kept=package.kept, store=bench.store)


def test_the_store_is_asked_once_however_many_pieces_are_read(bench: Bench) -> None:
    contents = contents_of(bench)
    assert isinstance(bench.store, CountingStore)
    bench.store.asked = 0
    for name in NAMES:
        pieces = [contents.read(name, offset, 7) or b"" for offset in range(0, len(SHARDS[name]), 7)]
        assert b"".join(pieces) == SHARDS[name]
    assert bench.store.asked == 1


def test_small_files_come_from_beside_the_lock_and_weights_that_are_gone_from_nowhere(bench: Bench) -> None:
    bench.store = MemoryStore(bench.home / "empty")
    contents = contents_of(bench)
    assert contents.read("config.json", 2, 5) == SHARDS["config.json"][2:7]
    assert [contents.read(name) for name in NAMES] == [None] * 3
    assert {path: digest.size for path, digest in contents.files.items()} == {
        path: len(data) for path, data in SHARDS.items() if path in contents.files
    }
