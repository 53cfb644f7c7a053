"""Receptions that end in the middle: by a kill at any system call, beside another process, beside a collector."""

from __future__ import annotations

import os
import random
import signal
from itertools import count
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, Quiet, assert_sound, kill_this_process_at, run_beside, store_entries

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk import front_hash, partial_file, received_parts, write_back
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Blob

PART = 1000
STEP = 400  # three writes a part
CONTENTS = (bytes(range(251)) * 60)[: 5 * PART + 77]
BLOB = Blob(name="model.bin", sha256=Hash.sha256_of(CONTENTS), size=len(CONTENTS))

_CALLS = (
    "open", "pwrite", "preadv", "ftruncate", "fdatasync", "fsync", "fchmod", "utime", "link", "rename", "mkdir",
    "unlink", "rmdir", "close",
)  # fmt: skip


def _use_small_parts() -> None:
    received_parts._PART = received_parts._WHOLE = PART
    front_hash._CHUNK = 300
    partial_file._CHUNK = 10 * PART
    write_back._BATCH = 2 * PART


def _receive(root: Path, log: Path) -> None:
    """Receive the blob, the parts in an order that the process id gives; each write is logged before it is made."""
    _use_small_parts()
    with EmbeddedStore(root) as store, store.receive(BLOB) as reception, log.open("ab", buffering=0) as sent:
        if reception is None:
            return
        parts = list(reception.missing)
        random.Random(os.getpid()).shuffle(parts)
        for part in parts:
            for offset in range(part.offset, part.offset + part.size, STEP):
                piece = CONTENTS[offset : min(offset + STEP, part.offset + part.size)]
                sent.write(f"{len(piece)}\n".encode())
                reception.write(offset, piece)
        reception.finish()


def _sent(log: Path) -> int:
    return sum(int(line) for line in log.read_text().split()) if log.exists() else 0


def _killed_at(number: int, root: Path, log: Path) -> None:
    """Receive, killed just before the ``number``-th system call of those that matter, in whatever thread."""
    kill_this_process_at(number, _CALLS)
    _receive(root, log)


def _assert_received(root: Path) -> None:
    with EmbeddedStore(root) as store:
        assert [info.store_path for info in store.all_paths()] == [BLOB.store_path]
        assert store.check(BLOB.store_path, Quiet()) == ()
        with store.session():
            store.keep([BLOB.store_path])
            store.collect_garbage(dry_run=False)  # a kill after the end leaves what any collector removes
        assert {name.removesuffix(".lock") for name in store_entries(root)} == {BLOB.store_path.base_name}
    own = root / "nix" / "var" / "hf-pack"
    assert list((own / "receiving").iterdir()) == []
    assert list((own / "staging").iterdir()) == []


@pytest.mark.parametrize("first", range(4))
def test_killed_at_any_call(tmp_path: Path, first: int) -> None:
    """What arrived before the kill is not asked for again, but for the one write that it may have cost."""
    killed = 0
    for number in count(first + 1, 4):
        root, log = tmp_path / f"root{number}", tmp_path / f"log{number}"
        process = run_beside(_killed_at, number, root, log)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        with EmbeddedStore(root) as store:
            for info in store.all_paths():
                assert store.check(info.store_path, Quiet()) == ()
        again = run_beside(_receive, root, log)
        again.join()
        assert again.exitcode == 0
        assert _sent(log) <= len(CONTENTS) + STEP
        _assert_received(root)
    assert killed > 15


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Each run gets a little further."""
    root, log = tmp_path / "root", tmp_path / "log"
    runs = 0
    while True:
        process = run_beside(_killed_at, 40 + runs, root, log)
        process.join()
        if process.exitcode == 0:
            break
        runs += 1
    assert runs > 2
    assert _sent(log) <= len(CONTENTS) + runs * STEP
    _assert_received(root)


@pytest.mark.nix
@NEEDS_NIX[1]
def test_processes_that_receive_the_same_blob(tmp_path: Path) -> None:
    root, log = tmp_path / "root", tmp_path / "log"
    processes = [run_beside(_receive, root, log) for _ in range(4)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert _sent(log) == len(CONTENTS)
    _assert_received(root)
    assert_sound(root)


def _collect_until(root: str, flag: str) -> None:
    with EmbeddedStore(Path(root)) as store:
        while not Path(flag).exists():
            store.collect_garbage(dry_run=False)


def _receive_many(root: str, numbers: range) -> None:
    """Receive blobs, each left once in the middle; each stays as long as the session."""
    _use_small_parts()
    with EmbeddedStore(Path(root)) as store, store.session():
        for number in numbers:
            contents = bytes([number]) + CONTENTS
            blob = Blob(name=f"{number}.bin", sha256=Hash.sha256_of(contents), size=len(contents))
            for half in (True, False):
                with store.receive(blob) as reception:
                    assert reception is not None
                    assert half or len(reception.missing) == 3
                    for part in reception.missing[: 3 if half else None]:
                        reception.write(part.offset, contents[part.offset : part.offset + part.size])
                    if not half:
                        reception.finish()
        for number in numbers:
            contents = bytes([number]) + CONTENTS
            blob = Blob(name=f"{number}.bin", sha256=Hash.sha256_of(contents), size=len(contents))
            assert store.real_path(blob.store_path).read_bytes() == contents


@pytest.mark.nix
@NEEDS_NIX[1]
def test_a_stream_of_receptions_beside_a_collector(tmp_path: Path) -> None:
    root, flag = tmp_path / "root", tmp_path / "flag"
    EmbeddedStore(root).add_blobs([], Quiet())
    collector = run_beside(_collect_until, str(root), str(flag))
    receivers = [run_beside(_receive_many, str(root), range(n * 20, n * 20 + 20)) for n in range(2)]
    for receiver in receivers:
        receiver.join()
    flag.touch()
    collector.join()
    assert [process.exitcode for process in (*receivers, collector)] == [0, 0, 0]
    assert_sound(root)
