from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench, pretend
from tests.models import as_json, tiny_model, write_flat

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import IntegrityError, LockError, SourceError, UsageError
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import BLOB_THRESHOLD
from hf_pack.model.manifest import Layout, Storage
from hf_pack.steps.building.realise import record_of, second_contents
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.workspace.targets import known_store_path

SELF_CONTAINED = Wishes(storage=Storage.SELF_CONTAINED)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny-llm", tiny_model(shards=3)))
    return bench


def source(bench: Bench) -> Path:
    return bench.home / "acme--tiny-llm"


def forget_blobs(bench: Bench) -> None:
    """Leave the lock, but not its blobs, as after a clone on another machine."""
    lock = bench.workspace.root / "models" / "tiny-llm.lock"
    text = lock.read_bytes()
    lock.unlink()
    bench.store.collect_garbage(dry_run=False)
    lock.write_bytes(text)
    assert bench.store.all_paths() == ()


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("layout", Layout)
def test_a_build_makes_the_plan_valid_and_records_it(tmp_path: Path, layout: Layout, storage: Storage) -> None:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "m", tiny_model(shards=2)), wishes=Wishes(layout=layout, storage=storage))
    built = bench.build("m")
    info = built.info
    assert bench.store.path_info(info.store_path) == info
    package = bench.load("m")
    assert bench.store.compare(package.plan, info.store_path) == ()
    assert known_store_path(package) == info.store_path
    assert package.record == record_of(package, info)
    assert (bench.workspace.root / "result-m").resolve() == bench.real(info.store_path)
    if storage is Storage.LINKED:
        assert info.references == tuple(sorted(blob.store_path for blob in package.plan.blobs))
    else:
        assert info.references == ()


def test_a_build_after_add_reads_no_weight_byte(bench: Bench) -> None:
    built = bench.build("tiny-llm")
    assert built.bytes_read == 0
    text = sum(file.size for file in bench.load("tiny-llm").lock.files if not file.is_blob)
    assert text < built.bytes_written < text + 10_000


@pytest.mark.parametrize("storage", Storage)
def test_a_second_build_reads_and_writes_nothing(tmp_path: Path, storage: Storage) -> None:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "m", tiny_model()), wishes=Wishes(storage=storage))
    first = bench.build("m")
    files = bench.files()
    shutil.rmtree(tmp_path / "m")
    again = bench.build("m")
    assert (again.bytes_read, again.bytes_written) == (0, 0)
    assert again.info == first.info
    assert bench.files() == files


def test_a_checkout_builds_from_the_source(bench: Bench) -> None:
    forget_blobs(bench)
    built = bench.build("tiny-llm")
    weights = sum(file.size for file in bench.load("tiny-llm").lock.files if file.is_blob)
    assert built.bytes_read == weights
    assert bench.verify("tiny-llm").bad == ()


def test_only_what_is_missing_is_read(bench: Bench) -> None:
    gone = bench.load("tiny-llm").plan.blobs[1]
    forget_blobs(bench)
    bench.build("tiny-llm")
    (bench.workspace.root / "result-tiny-llm").unlink()
    bench.store.add_root(
        bench.workspace.root / "models" / "tiny-llm.lock",
        [blob.store_path for blob in bench.load("tiny-llm").plan.blobs if blob != gone],
    )
    bench.store.collect_garbage(dry_run=False)
    assert bench.build("tiny-llm").bytes_read == gone.size


@pytest.fixture(params=["memory", "embedded"])
def any_bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    if request.param == "embedded":
        bench.store = EmbeddedStore(tmp_path / "embedded")
    bench.add(write_flat(tmp_path / "acme--tiny-llm", tiny_model(shards=3)))
    return bench


def test_a_built_package_with_other_bytes_than_the_lock_is_not_built_again(any_bench: Bench) -> None:
    any_bench.build("tiny-llm")
    blob = any_bench.load("tiny-llm").plan.blobs[1]
    pretend(any_bench.store, blob.store_path)
    with pytest.raises(IntegrityError, match="the store has other bytes than the lock says") as caught:
        any_bench.build("tiny-llm")
    assert str(blob.store_path) in caught.value.message
    assert caught.value.hint == "hf-pack verify tiny-llm --repair"
    assert any_bench.repair("tiny-llm").bad == ()
    assert any_bench.build("tiny-llm").bytes_read == 0


def test_a_blob_with_other_bytes_than_the_lock_does_not_become_part_of_a_package(any_bench: Bench) -> None:
    blob = any_bench.load("tiny-llm").plan.blobs[1]
    pretend(any_bench.store, blob.store_path)
    assert any_bench.build("tiny-llm").bytes_read == blob.size
    assert any_bench.verify("tiny-llm").bad == ()


def test_a_blob_that_the_store_does_not_vouch_for_is_hashed_and_used(any_bench: Bench) -> None:
    """As one that came with a signature, from a cache that does not say how its path was made."""
    blob = any_bench.load("tiny-llm").plan.blobs[1]
    pretend(any_bench.store, blob.store_path, damaged=False)
    any_bench.notes.done = 0
    built = any_bench.build("tiny-llm")
    assert (built.bytes_read, any_bench.notes.done >= blob.size) == (0, True)


def test_files_that_are_nowhere_are_all_named(bench: Bench) -> None:
    forget_blobs(bench)
    names = [file.path for file in bench.load("tiny-llm").lock.files if file.is_blob]
    for name in names[:2]:
        (source(bench) / name).unlink()
    before = bench.files()
    with pytest.raises(SourceError) as caught:
        bench.build("tiny-llm")
    assert "2 of its files are neither in the store nor in the source" in caught.value.message
    assert all(name in caught.value.message for name in names[:2])
    assert names[2] not in caught.value.message
    assert (bench.files(), bench.store.all_paths()) == (before, ())


def test_a_source_that_is_gone_names_what_is_needed(bench: Bench) -> None:
    forget_blobs(bench)
    shutil.rmtree(source(bench))
    with pytest.raises(SourceError) as caught:
        bench.build("tiny-llm")
    assert "model-00001-of-00003.safetensors" in caught.value.message
    assert caught.value.hint.startswith(f"put the model back at {source(bench)}")
    assert bench.store.all_paths() == ()


def test_a_source_that_changed_is_an_integrity_error(bench: Bench) -> None:
    forget_blobs(bench)
    shard = source(bench) / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    before = bench.files()
    with pytest.raises(IntegrityError):
        bench.build("tiny-llm")
    assert bench.files() == before
    assert not (bench.workspace.root / "result-tiny-llm").is_symlink()
    assert not any(info.store_path.name.startswith("tiny-llm") for info in bench.store.all_paths())


def test_a_patched_large_file_comes_from_beside_the_lock(bench: Bench) -> None:
    vocabulary = {f"token {n}": n for n in range(60_000)}
    large = as_json({"version": "1.0", "model": {"vocab": vocabulary}})
    assert len(large) > BLOB_THRESHOLD
    write_flat(source(bench), {"tokenizer.json": large})
    bench.append("tiny-llm", '\n[[patch]]\nfile = "tokenizer.json"\nset = { version = "2.0" }\nreason = "r"\n')
    bench.lock("tiny-llm")
    built = bench.build("tiny-llm")
    assert built.bytes_read == len(large)
    blob = next(blob for blob in bench.load("tiny-llm").plan.blobs if blob.name == "tokenizer.json")
    assert bench.real(blob.store_path).read_bytes() == large.replace(b'"1.0"', b'"2.0"')
    shutil.rmtree(source(bench))
    lock = bench.workspace.root / "models" / "tiny-llm.lock"
    bench.store.add_root(lock, [other.store_path for other in bench.load("tiny-llm").plan.blobs if other != blob])
    (bench.workspace.root / "result-tiny-llm").unlink()
    bench.store.collect_garbage(dry_run=False)
    assert bench.build("tiny-llm").info == built.info


def test_a_patch_costs_a_tree_and_no_weights(bench: Bench) -> None:
    first = bench.build("tiny-llm").info
    bench.append("tiny-llm", '\n[[patch]]\nfile = "tokenizer_config.json"\nset = { x = 1 }\nreason = "r"\n')
    bench.lock("tiny-llm")
    second = bench.build("tiny-llm")
    assert second.info.store_path != first.store_path
    assert second.info.references == first.references
    assert second.bytes_read == 0


def test_a_second_content_under_one_version_is_warned_of(bench: Bench) -> None:
    first = bench.build("tiny-llm").info
    assert bench.notes.lines == []
    bench.manifest("tiny-llm").write_text(
        bench.manifest("tiny-llm").read_text().replace("max_model_len = 64", "max_model_len = 32")
    )
    second = bench.build("tiny-llm").info
    assert first.store_path.name == second.store_path.name
    (warning,) = bench.notes.lines
    assert warning.startswith(f"warning: tiny-llm-1.0.0+0000000 names a second content: {first.store_path}")
    assert "hf-pack bump tiny-llm" in warning


def test_a_second_content_is_known_from_the_record_alone(bench: Bench) -> None:
    first = bench.build("tiny-llm").info
    package = bench.load("tiny-llm")
    other = first.store_path.parse_base_name("0" * 32 + "-" + first.store_path.name)
    shutil.rmtree(bench.real(first.store_path))
    (bench.workspace.root / "result-tiny-llm").unlink()
    bench.store.collect_garbage(dry_run=False)
    assert bench.store.path_info(first.store_path) is None
    assert len(second_contents(package, other, bench.store)) == 1
    assert second_contents(package, first.store_path, bench.store) == []


def test_the_result_link_and_the_lock_are_roots(bench: Bench) -> None:
    info = bench.build("tiny-llm").info
    owners = {Path(root.owner).name for root in bench.store.roots() if root.owner}
    assert owners == {"result-tiny-llm", "tiny-llm.lock"}
    (bench.workspace.root / "models" / "tiny-llm.lock").unlink()
    assert bench.store.collect_garbage(dry_run=True).deleted == ()
    (bench.workspace.root / "result-tiny-llm").unlink()
    assert len(bench.store.collect_garbage(dry_run=True).deleted) == 1 + len(info.references)


def test_a_stale_lock_builds_nothing(bench: Bench) -> None:
    bench.append("tiny-llm", '\n[[patch]]\nfile = "config.json"\nset = { a = 1 }\nreason = "r"\n')
    with pytest.raises(LockError):
        bench.build("tiny-llm")
    assert not (bench.workspace.root / "models" / "tiny-llm.record").exists()


def test_the_same_model_has_one_store_path_in_every_workspace(bench: Bench, tmp_path: Path) -> None:
    first = bench.build("tiny-llm").info
    other = new_bench(tmp_path / "other")
    other.add(write_flat(tmp_path / "other" / "acme--tiny-llm", tiny_model(shards=3)))
    info = other.build("tiny-llm").info
    assert (info.store_path, info.nar_hash) == (first.store_path, first.nar_hash)


def test_a_self_contained_package_holds_the_bytes(tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--m", tiny_model()), wishes=SELF_CONTAINED)
    assert known_store_path(bench.load("m")) is None
    info = bench.build("m").info
    inside = next(bench.real(info.store_path).rglob("model.safetensors"))
    assert not inside.is_symlink()
    assert Hash.sha256_of(inside.read_bytes()) == Hash.sha256_of(tiny_model()["model.safetensors"])
    assert known_store_path(bench.load("m")) == info.store_path


def test_a_build_into_another_store_says_what_it_leaves_behind(bench: Bench) -> None:
    first = bench.build("tiny-llm")
    bench.notes.lines.clear()
    earlier = bench.store.real_path(first.info.store_path)
    bench.store = EmbeddedStore(bench.home / "another")
    bench.build("tiny-llm")
    assert bench.notes.lines == [f"note: result-tiny-llm leaves {earlier}; nothing keeps it in that store any more"]


def test_a_workspace_that_cannot_be_written_is_said_before_anything_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_blobs(bench)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "models")  # root may write anywhere
    with pytest.raises(UsageError, match="the workspace cannot be written"):
        bench.build("tiny-llm")
    assert bench.store.all_paths() == ()


def test_a_lock_of_a_newer_minor_version_is_built_with_a_warning(bench: Bench) -> None:
    lock = bench.workspace.root / "models" / "tiny-llm.lock"
    text = lock.read_text()
    assert '"lock_version": "1.0",' in text
    lock.write_text(text.replace('"lock_version": "1.0",', '"lock_version": "1.9",\n  "mtime": 0,'))
    bench.build("tiny-llm")
    (line,) = [line for line in bench.notes.lines if line.startswith("warning: ")]
    assert "mtime" in line
