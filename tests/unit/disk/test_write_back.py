from __future__ import annotations

import errno
import os
import threading
from itertools import count
from pathlib import Path

import pytest

from hf_pack.disk import write_back
from hf_pack.disk.write_back import WriteBack


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back, "_BATCH", 100)


def test_it_syncs_after_enough_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Semaphore(0)
    monkeypatch.setattr(os, "fdatasync", lambda _fd: synced.release())
    with (tmp_path / "data").open("wb") as file:
        writing = WriteBack(file.fileno())
        writing.wrote(99)
        assert not synced.acquire(blocking=False)
        for total in (100, 200):
            writing.wrote(total)
            assert synced.acquire(timeout=60)
        writing.finish()


def test_an_error_of_an_earlier_sync_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fdatasync", fail)
    threads = threading.active_count()
    with (tmp_path / "data").open("wb") as file:
        writing = WriteBack(file.fileno())
        with pytest.raises(OSError, match="broken"):
            for total in count(100, 100):
                writing.wrote(total)
        with pytest.raises(OSError, match="broken"):
            writing.finish()
    assert threading.active_count() == threads
