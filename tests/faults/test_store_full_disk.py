"""A disk that is full before, or in the middle: nothing stays behind, and the error says what was needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_ROOT, Quiet, add_bytes, linked_plan, source_file, store_entries

from hf_pack.adapters.embedded import blobs
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.errors import StoreError

MIB = 1 << 20


@NEEDS_ROOT
def test_too_little_room_is_said_before_anything_is_copied(small_disk: Path, tmp_path: Path) -> None:
    file = source_file(tmp_path / "src", "large.bin", b"x" * (20 * MIB))
    progress = Quiet()
    with EmbeddedStore(small_disk / "store") as store:
        with pytest.raises(
            StoreError, match=rf"needs {20 * MIB:,} bytes, [0-9,]+ are free\n  at {store.root}"
        ) as caught:
            store.add_blobs([file], progress)
        assert "hf-pack gc" in caught.value.hint
        assert progress.done == 0
        assert store.all_paths() == ()


@NEEDS_ROOT
def test_a_disk_that_fills_up_in_the_middle(small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As when another process takes the room after we looked.
    monkeypatch.setattr(blobs, "free_bytes", lambda _place: 1 << 40)
    large = source_file(tmp_path / "src", "large.bin", b"x" * (20 * MIB))
    with EmbeddedStore(small_disk / "store") as store:
        small = add_bytes(store, tmp_path / "src", "small.bin", b"small").blob
        with pytest.raises(StoreError, match=rf"needs {20 * MIB:,} bytes"):
            store.add_blobs([large], Quiet())
        assert store_entries(store.root) == {small.store_path.base_name}
        assert list((store.root / "nix" / "var" / "hf-pack" / "staging").iterdir()) == []
        add_bytes(store, tmp_path / "src", "other.bin", b"o" * MIB)  # the room is there again


@NEEDS_ROOT
def test_a_tree_that_does_not_fit(small_disk: Path, tmp_path: Path) -> None:
    with EmbeddedStore(small_disk / "store") as store, store.session():
        blob = add_bytes(store, tmp_path / "src", "w.bin", b"w").blob
        plan = linked_plan("tree", [blob], text=b"t" * (20 * MIB))
        with pytest.raises(StoreError, match=rf"needs {20 * MIB:,} bytes") as caught:
            store.add_tree(plan, Quiet())
        assert "hf-pack gc" in caught.value.hint
        assert store_entries(store.root) == {blob.store_path.base_name}
        assert [info.store_path for info in store.all_paths()] == [blob.store_path]
