from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from tests.bench import Bench, damage, new_bench, pretend
from tests.memory_store import MemoryStore
from tests.models import tiny_model, write_flat

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import LockError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Problem
from hf_pack.model.manifest import Storage
from hf_pack.ports import Progress
from hf_pack.steps.building.verify import Verified
from hf_pack.steps.locking.propose import Wishes

STORES = ("memory", "embedded")


@pytest.fixture(params=STORES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.store = MemoryStore(tmp_path / "m") if request.param == "memory" else EmbeddedStore(tmp_path / "e")
    return bench


def built(bench: Bench, storage: Storage = Storage.LINKED) -> Path:
    """A built package; returns its tree."""
    bench.add(write_flat(bench.home / "acme--m", tiny_model(shards=2)), wishes=Wishes(storage=storage))
    return bench.real(bench.build("m").info.store_path)


def remove(path: Path) -> None:
    """Take an object away behind the store's back."""
    for parent, _, _ in os.walk(path):
        Path(parent).chmod(0o755)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def bad(verified: Verified) -> list[tuple[str, str]]:
    return [(problem.store_path.name, problem.path) for problem in verified.bad]


@pytest.mark.parametrize("storage", Storage)
def test_a_sound_package(bench: Bench, storage: Storage) -> None:
    built(bench, storage)
    verified = bench.verify("m")
    assert (verified.checked, verified.bad, verified.repaired) == (3, (), ())


def test_every_object_is_checked_once(bench: Bench) -> None:
    built(bench)
    bench.add(bench.home / "acme--m", wishes=Wishes(name="variant"))
    bench.build("variant")
    assert bench.verify("m", "variant", "m").checked == 4


def test_an_interrupt_does_not_wait_for_the_objects_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    built(bench)
    turns, released, ended = count(), Event(), []

    def check(store_path: StorePath, progress: Progress, *, sha256: Hash | None = None) -> tuple[Problem, ...]:
        if next(turns):
            raise KeyboardInterrupt
        released.wait(20)
        ended.append(store_path)
        return ()

    monkeypatch.setattr(bench.store, "check", check)
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.verify("m")
        assert ended == []
    finally:
        released.set()


def test_a_damaged_blob_is_named_and_repaired_from_the_source(bench: Bench) -> None:
    built(bench)
    blob = bench.load("m").plan.blobs[1]
    damage(bench.real(blob.store_path))
    verified = bench.verify("m")
    assert [problem.store_path for problem in verified.bad] == [blob.store_path]
    assert "expected sha256-" in verified.bad[0].problem
    repaired = bench.repair("m")
    assert repaired.bad == ()
    assert repaired.repaired == verified.bad
    assert bench.verify("m").bad == ()


def test_a_blob_whose_record_agrees_with_its_damage_is_named_by_the_lock(bench: Bench) -> None:
    built(bench)
    blob = bench.load("m").plan.blobs[1]
    pretend(bench.store, blob.store_path)
    (problem,) = bench.verify("m").bad
    assert (problem.store_path, problem.problem[:23]) == (blob.store_path, f"sha256: expected {blob.sha256.hex()[:6]}")
    assert bench.repair("m").bad == ()
    assert bench.verify("m").bad == ()
    assert bench.real(blob.store_path).read_bytes() == (bench.home / "acme--m" / blob.name).read_bytes()


def test_a_tree_whose_record_agrees_with_its_damage_is_named_by_the_plan(bench: Bench) -> None:
    tree = built(bench)
    pretend(bench.store, bench.load("m").record.store_path)  # type: ignore[union-attr]
    config = next(tree.rglob("config.json")).relative_to(tree).as_posix()
    assert bad(bench.verify("m", "m")) == [(tree.name.split("-", 1)[1], config)]
    assert bench.repair("m").bad == ()
    assert bench.verify("m").bad == ()


def test_a_damaged_file_of_the_tree_is_named_and_repaired(bench: Bench) -> None:
    tree = built(bench)
    config = next(tree.rglob("config.json"))
    damage(config)
    name = tree.name.split("-", 1)[1]
    assert bad(bench.verify("m")) == [(name, config.relative_to(tree).as_posix())]
    repaired = bench.repair("m")
    assert (repaired.bad, bad(Verified(checked=0, bad=repaired.repaired))) == (
        (),
        [(name, config.relative_to(tree).as_posix())],
    )
    assert config.read_bytes() == tiny_model(shards=2)["config.json"]


@pytest.mark.parametrize("storage", Storage)
def test_a_tree_that_is_gone_from_disk_is_made_again(bench: Bench, storage: Storage) -> None:
    tree = built(bench, storage)
    remove(tree)
    assert bench.verify("m").bad
    assert bench.repair("m").bad == ()
    assert bench.store.compare(bench.load("m").plan, bench.load("m").record.store_path) == ()  # type: ignore[union-attr]


def test_a_blob_that_is_gone_from_disk_is_brought_back(bench: Bench) -> None:
    built(bench)
    blob = bench.load("m").plan.blobs[0]
    remove(bench.real(blob.store_path))
    assert bad(bench.verify("m")) == [(blob.name, "")]
    assert bench.repair("m").bad == ()


def test_what_was_never_built_is_not_damaged(bench: Bench) -> None:
    bench.add(write_flat(bench.home / "acme--m", tiny_model()))
    with pytest.raises(LockError, match=r"^m 1\.0\.0\+0000000 is not built") as caught:
        bench.verify("m")
    assert caught.value.hint == "hf-pack build m"


def test_a_self_contained_package_that_was_never_built_has_no_path(bench: Bench) -> None:
    bench.add(write_flat(bench.home / "acme--m", tiny_model()), wishes=Wishes(storage=Storage.SELF_CONTAINED))
    with pytest.raises(LockError, match="self-contained: its store path is known after it was built"):
        bench.verify("m")


def test_a_damaged_self_contained_file_is_named_and_repaired(bench: Bench) -> None:
    tree = built(bench, Storage.SELF_CONTAINED)
    shard = next(tree.rglob("model-00001-of-00002.safetensors"))
    damage(shard)
    found = bad(bench.verify("m"))
    assert (tree.name.split("-", 1)[1], shard.relative_to(tree).as_posix()) in found
    repaired = bench.repair("m")
    assert repaired.bad == ()
    assert shard.read_bytes() == tiny_model(shards=2)["model-00001-of-00002.safetensors"]
    assert bench.verify("m").bad == ()


def test_a_self_contained_package_is_repaired_without_its_blobs(bench: Bench) -> None:
    tree = built(bench, Storage.SELF_CONTAINED)
    lock = bench.workspace.root / "models" / "m.lock"
    bench.store.add_root(lock, [])
    assert len(bench.store.collect_garbage(dry_run=False).deleted) == 2
    damage(next(tree.rglob("config.json")))
    assert bench.verify("m").checked == 1
    assert bench.repair("m").bad == ()


def test_a_self_contained_package_whose_blob_has_no_source_stays_as_it_is(bench: Bench) -> None:
    tree = built(bench, Storage.SELF_CONTAINED)
    before = {info.store_path for info in bench.store.all_paths()}
    damage(next(tree.rglob("model-00001-of-00002.safetensors")))
    blob = bench.load("m").plan.blobs[0]
    if blob.store_path not in {problem.store_path for problem in bench.verify("m").bad}:
        damage(bench.real(blob.store_path))  # a store without hard links
    shutil.rmtree(bench.home / "acme--m")
    repaired = bench.repair("m")
    assert repaired.bad and repaired.repaired == ()
    assert {info.store_path for info in bench.store.all_paths()} == before
    assert any("is not repaired" in line for line in bench.notes.lines)


def test_a_tree_that_cannot_be_made_again_is_said(bench: Bench) -> None:
    tree = built(bench, Storage.SELF_CONTAINED)
    bench.store.add_root(bench.workspace.root / "models" / "m.lock", [])
    bench.store.collect_garbage(dry_run=False)
    damage(next(tree.rglob("config.json")))
    shutil.rmtree(bench.home / "acme--m")
    assert len(bench.repair("m").bad) == 1
    assert bench.notes.lines[-1].startswith(
        "m-1.0.0+0000000 is not repaired: m: 2 of its files are neither in the store"
    )


def test_what_has_no_source_any_more_stays_bad_and_the_rest_is_repaired(bench: Bench) -> None:
    tree = built(bench)
    one, two = bench.load("m").plan.blobs
    for path in (bench.real(one.store_path), bench.real(two.store_path), next(tree.rglob("config.json"))):
        damage(path)
    (bench.home / "acme--m" / one.name).unlink()
    repaired = bench.repair("m")
    assert [problem.store_path for problem in repaired.bad] == [one.store_path]
    assert len(repaired.repaired) == 2
    assert any(line.startswith(f"{one.name} is not repaired: ") for line in bench.notes.lines)


def test_a_source_of_other_bytes_repairs_nothing(bench: Bench) -> None:
    built(bench)
    blob = bench.load("m").plan.blobs[0]
    damage(bench.real(blob.store_path))
    damage(bench.home / "acme--m" / blob.name)
    repaired = bench.repair("m")
    assert [problem.store_path for problem in repaired.bad] == [blob.store_path]
    assert repaired.repaired == ()


def test_a_store_path_is_verified_without_its_workspace(bench: Bench) -> None:
    tree = built(bench)
    path = bench.load("m").record.store_path  # type: ignore[union-attr]
    assert bench.verify(str(path)).checked == 3
    config = next(tree.rglob("config.json"))
    damage(config)
    named = [(path.name, config.relative_to(tree).as_posix())]  # by the hashes in its own hf-pack.json
    assert bad(bench.verify(str(path))) == named


def test_a_store_path_is_repaired_by_the_packages_of_the_workspace(bench: Bench) -> None:
    tree = built(bench)
    path = bench.load("m").record.store_path  # type: ignore[union-attr]
    blob = bench.load("m").plan.blobs[0]
    for one in (next(tree.rglob("config.json")), bench.real(blob.store_path)):
        damage(one)
    bench.workspace.write("models/broken.toml", b"no manifest")  # nobody asked for it
    repaired = bench.repair(str(path))
    assert (repaired.bad, {problem.store_path for problem in repaired.repaired}) == ((), {path, blob.store_path})
    assert bench.verify("m").bad == ()


def test_a_self_contained_tree_is_made_again_under_its_packages_name_alone(bench: Bench) -> None:
    tree = built(bench, Storage.SELF_CONTAINED)
    path = bench.load("m").record.store_path  # type: ignore[union-attr]
    damage(next(tree.rglob("config.json")))
    assert [problem.store_path for problem in bench.repair(str(path)).bad] == [path]
    assert bench.notes.lines[-1] == f"{path.name} is self-contained: hf-pack verify m --repair"
    assert bench.repair("m").bad == ()


def test_another_version_of_a_package_mends_the_blobs_alone(bench: Bench) -> None:
    tree = built(bench)
    path = bench.load("m").record.store_path  # type: ignore[union-attr]
    blob = bench.load("m").plan.blobs[0]
    manifest = bench.manifest("m")
    manifest.write_text(manifest.read_text().replace('base_version = "1.0.0"', 'base_version = "1.0.1"'))
    for one in (next(tree.rglob("config.json")), bench.real(blob.store_path)):
        damage(one)
    repaired = bench.repair(str(path))
    assert [problem.store_path for problem in repaired.bad] == [path]
    assert [problem.store_path for problem in repaired.repaired] == [blob.store_path]


def test_a_strange_file_in_a_tree_is_named(bench: Bench) -> None:
    tree = built(bench)
    directory = next(tree.rglob("config.json")).parent
    directory.chmod(0o755)
    (directory / "added.py").write_bytes(b"")
    assert bad(bench.verify("m")) == [
        (tree.name.split("-", 1)[1], (directory / "added.py").relative_to(tree).as_posix())
    ]
