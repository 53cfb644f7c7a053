from __future__ import annotations

from pathlib import Path

import pytest
from tests.embedded_stores import Quiet, add_bytes, linked_plan, self_contained_plan

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import objects
from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


@pytest.fixture
def blob(store: EmbeddedStore, tmp_path: Path) -> Blob:
    return add_bytes(store, tmp_path / "src", "w.bin", b"w" * 100_000).blob


def test_a_tree_is_canonical(store: EmbeddedStore, blob: Blob) -> None:
    plan = linked_plan("tree", [blob])
    top = store.real_path(store.add_tree(plan, Quiet()).info.store_path)
    for path in (top, *top.rglob("*")):
        status = path.lstat()
        assert status.st_mtime_ns == 1_000_000_000, path
        if not path.is_symlink():
            assert status.st_mode & 0o7777 == (0o555 if path.is_dir() else 0o444), path
    assert (top / "config.json").read_bytes() == b"{}"
    assert str((top / "weights" / "0-w.bin").readlink()) == f"../../{blob.store_path.base_name}"


def test_a_tree_that_is_there_is_not_written(store: EmbeddedStore, blob: Blob) -> None:
    for plan in (linked_plan("linked", [blob]), self_contained_plan("whole", [blob])):
        first = store.add_tree(plan, Quiet())
        inode = store.real_path(first.info.store_path).stat().st_ino
        progress = Quiet()
        again = store.add_tree(plan, progress)
        assert again.info == first.info
        assert (again.bytes_read, again.bytes_written, progress.done) == (0, 0, 0)
        assert store.real_path(first.info.store_path).stat().st_ino == inode


def test_a_self_contained_tree_costs_one_read_and_no_disk(store: EmbeddedStore, blob: Blob) -> None:
    progress = Quiet()
    added = store.add_tree(self_contained_plan("whole", [blob]), progress)
    assert (added.bytes_read, added.bytes_written, progress.done) == (100_000, 2, 100_000)
    assert added.info.references == ()
    inside = store.real_path(added.info.store_path) / "weights" / "0-w.bin"
    assert inside.samefile(store.real_path(blob.store_path))


def test_where_links_are_not_possible_a_tree_holds_copies(
    store: EmbeddedStore, blob: Blob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "link", lambda _source, _target: False)
    added = store.add_tree(self_contained_plan("whole", [blob]), Quiet())
    assert added.bytes_written == 100_002
    inside = store.real_path(added.info.store_path) / "weights" / "0-w.bin"
    assert not inside.samefile(store.real_path(blob.store_path))
    assert (inside.stat().st_mode & 0o7777, inside.stat().st_mtime) == (0o444, 1)
    assert store.check(added.info.store_path, Quiet()) == ()


def test_a_blob_that_is_missing_is_named(store: EmbeddedStore, blob: Blob) -> None:
    missing = Blob(name="gone.bin", sha256=Hash.sha256_of(b""), size=0)
    for plan in (linked_plan("tree", [blob, missing]), self_contained_plan("tree", [blob, missing])):
        with pytest.raises(StoreError, match=f"not in the store\n  {missing.store_path}"):
            store.add_tree(plan, Quiet())


def test_a_blob_of_another_size_is_no_tree(store: EmbeddedStore, blob: Blob) -> None:
    wrong = Blob(name=blob.name, sha256=blob.sha256, size=blob.size + 1)
    with pytest.raises(StoreError, match="another size") as caught:
        store.add_tree(self_contained_plan("tree", [wrong]), Quiet())
    assert "--repair" in caught.value.hint


def test_a_tree_that_vanished_from_disk_is_made_again(store: EmbeddedStore, blob: Blob) -> None:
    plan = linked_plan("tree", [blob])
    first = store.add_tree(plan, Quiet())
    real_path = store.real_path(first.info.store_path)
    real_path.rename(real_path.parent.parent / "elsewhere")
    again = store.add_tree(plan, Quiet())
    assert (again.info, again.bytes_written) == (first.info, 2)
    assert store.check(first.info.store_path, Quiet()) == ()


def test_a_leftover_in_the_place_of_a_tree_is_replaced(store: EmbeddedStore, blob: Blob) -> None:
    plan = linked_plan("tree", [blob])
    expected = plan.store_path()
    assert expected is not None
    (store.real_path(expected) / "half").mkdir(parents=True)
    assert store.add_tree(plan, Quiet()).info.store_path == expected
    assert store.check(expected, Quiet()) == ()


def test_a_damaged_tree_is_made_anew(store: EmbeddedStore, blob: Blob) -> None:
    for plan in (linked_plan("linked", [blob]), self_contained_plan("whole", [blob])):
        info = store.add_tree(plan, Quiet()).info
        damaged = next(path for path in store.real_path(info.store_path).rglob("config.json"))
        damaged.chmod(0o644)
        damaged.write_bytes(b"[]")
        assert [problem.problem[:8] for problem in store.check(info.store_path, Quiet())] == ["NAR hash"]
        store.replace_tree(plan, Quiet())
        assert store.check(info.store_path, Quiet()) == ()
        assert store.path_info(info.store_path) == info
