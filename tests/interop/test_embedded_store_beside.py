"""Several processes on one store at once: our adders, our collector, real Nix."""

from __future__ import annotations

import os
from pathlib import Path

from tests.embedded_stores import (
    NEEDS_NIX,
    Quiet,
    add_bytes,
    assert_sound,
    linked_plan,
    nix,
    run_beside,
    self_contained_plan,
    store_entries,
)

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.model.plan import Plan

pytestmark = NEEDS_NIX


def _plans(store: EmbeddedStore, folder: Path, number: int) -> tuple[Plan, Plan]:
    blobs = [
        add_bytes(store, folder, "shared.bin", b"shared" * 1000).blob,
        add_bytes(store, folder, f"{number}.bin", bytes([number]) * 3000).blob,
    ]
    return linked_plan(f"linked-{number}", blobs), self_contained_plan(f"whole-{number}", blobs)


def _add_packages(root: str, folder: str, numbers: range) -> None:
    store = EmbeddedStore(Path(root))
    owner = Path(folder) / f"owner-{os.getpid()}"
    owner.parent.mkdir(parents=True, exist_ok=True)
    owner.touch()
    with store.session():
        paths = []
        for number in numbers:
            for plan in _plans(store, Path(folder), number):
                paths.append(store.add_tree(plan, Quiet()).info.store_path)
                assert store.real_path(paths[-1]).is_dir()
        store.add_root(owner, paths)


def _collect_until(root: str, flag: str) -> None:
    store = EmbeddedStore(Path(root))
    while not Path(flag).exists():
        store.collect_garbage(dry_run=False)
        _count(flag)


def _nix_collect_until(root: str, flag: str) -> None:
    while not Path(flag).exists():
        nix(Path(root), "--gc")
        _count(flag)


def _count(flag: str) -> None:
    with Path(flag + ".count").open("a") as file:
        file.write("x")


def test_processes_that_make_the_store_and_add_the_same(tmp_path: Path) -> None:
    root = tmp_path / "root"
    adders = [run_beside(_add_packages, str(root), str(tmp_path / str(n)), range(4)) for n in range(4)]
    for adder in adders:
        adder.join()
    assert [adder.exitcode for adder in adders] == [0] * 4
    store = EmbeddedStore(root)
    assert len(store.all_paths()) == 1 + 3 * 4
    assert store_entries(root) == {info.store_path.base_name for info in store.all_paths()}
    assert_sound(root)


def test_a_stream_of_adds_beside_nix_collecting(tmp_path: Path) -> None:
    _assert_nothing_lost(tmp_path, _nix_collect_until)


def test_a_stream_of_adds_beside_our_collector(tmp_path: Path) -> None:
    _assert_nothing_lost(tmp_path, _collect_until)


def _assert_nothing_lost(tmp_path: Path, collect: object) -> None:
    root, flag = tmp_path / "root", tmp_path / "flag"
    EmbeddedStore(root).add_blobs([], Quiet())
    assert callable(collect)
    collector = run_beside(collect, str(root), str(flag))
    halves = [
        run_beside(_add_packages, str(root), str(tmp_path / str(n)), range(n * 15, n * 15 + 15)) for n in range(2)
    ]
    for half in halves:
        half.join()
    flag.touch()
    collector.join()
    assert [process.exitcode for process in (*halves, collector)] == [0, 0, 0]
    assert (tmp_path / "flag.count").stat().st_size > 1
    store = EmbeddedStore(root)
    names = {info.store_path.name for info in store.all_paths()}
    assert names == {
        "shared.bin",
        *(name for n in range(30) for name in (f"{n}.bin", f"linked-{n}", f"whole-{n}")),
    }
    assert store_entries(root) == {info.store_path.base_name for info in store.all_paths()}
    assert_sound(root)
