from __future__ import annotations

import os
import threading
from pathlib import Path

from hf_pack.disk.locks import is_still, locked, object_locks, open_lock, try_lock


def test_only_one_holds_an_exclusive_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = open_lock(path)
    with locked(path, exclusive=True):
        assert not try_lock(other, exclusive=False)
    with locked(path, exclusive=False):
        assert not try_lock(other, exclusive=True)
        assert try_lock(other, exclusive=False)
    os.close(other)


def test_an_object_lock_is_gone_and_marked_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "object.lock"
    with object_locks([tmp_path / "object"]):
        waiting = os.open(path, os.O_RDWR)
        assert not try_lock(waiting, exclusive=True)
        assert os.fstat(waiting).st_size == 0
    assert not path.exists()
    # What Nix looks at when it gets the lock of a file that is no more.
    assert os.fstat(waiting).st_size == 1
    assert not is_still(path, waiting)
    os.close(waiting)


def test_objects_are_made_by_one_at_a_time(tmp_path: Path) -> None:
    inside: list[str] = []
    most = 0

    def work(names: list[str]) -> None:
        nonlocal most
        for _ in range(50):
            with object_locks([tmp_path / name for name in names]):
                inside.append("x")
                most = max(most, len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(names,)) for names in (["a", "b"], ["b", "a"], ["b"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []
