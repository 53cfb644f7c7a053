"""A reception on a disk that is or gets full: said with what is needed, and gone on with when there is room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_ROOT, Quiet, store_entries

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import received_parts, reception
from hf_pack.errors import StoreError
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob
from hf_pack.ports import Reception

MIB = 1 << 20
CONTENTS = bytes(range(256)) * (20 * MIB // 256)
BLOB = Blob(name="large.bin", sha256=Hash.sha256_of(CONTENTS), size=len(CONTENTS))

pytestmark = NEEDS_ROOT


def _send(arriving: Reception) -> None:
    for part in arriving.missing:
        for offset in range(part.offset, part.offset + part.size, MIB // 4):
            arriving.write(offset, CONTENTS[offset : min(offset + MIB // 4, part.offset + part.size)])


def test_too_little_room_is_said_before_anything_is_asked_for(small_disk: Path) -> None:
    with EmbeddedStore(small_disk / "store") as store:
        with pytest.raises(
            StoreError, match=rf"needs {20 * MIB:,} bytes, [0-9,]+ are free\n  at {store.root}"
        ) as caught:
            store.receive(BLOB).__enter__()
        assert "hf-pack gc" in caught.value.hint
        assert list((store.root / "nix/var/hf-pack/receiving").iterdir()) == []


def test_a_disk_that_fills_up_meanwhile(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received_parts, "_PART", 4 * MIB)
    monkeypatch.setattr(received_parts, "_WHOLE", 4 * MIB)
    with EmbeddedStore(small_disk / "store") as store:
        with monkeypatch.context() as patch:
            patch.setattr(reception, "free_bytes", lambda _place: 1 << 40)
            with (
                pytest.raises(StoreError, match=r"the store needs 1[2-5],[0-9,]+ bytes") as caught,
                store.receive(BLOB) as arriving,
            ):
                assert arriving is not None
                _send(arriving)
            assert "hf-pack gc" in caught.value.hint
        assert store_entries(store.root) == set()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        with store.receive(BLOB) as arriving:
            assert arriving is not None
            rest = sum(part.size for part in arriving.missing)
            assert 12 * MIB < rest < 16 * MIB  # nothing that had found room is asked for again
            _send(arriving)
            assert arriving.finish().bytes_written == rest
        assert store.check(BLOB.store_path, Quiet()) == ()
