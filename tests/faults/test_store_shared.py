"""A store that hosts or containers share: no collector sees the others' processes, and none deletes what they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.embedded_stores import NEEDS_NIX, NEEDS_ROOT, add_bytes, assert_sound, run_beside, store_entries

from hf_pack.adapters.embedded import running
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.disk.locks import locked
from hf_pack.disk.staging import names_in


def _become_a_server(root: Path, held: Path, done: Path) -> None:
    with EmbeddedStore(root) as store:
        store.hold([info.store_path for info in store.all_paths() if info.store_path.name == "served"])
    # A program that names the store nowhere: neither in its environment, nor by an open file.
    os.chdir("/")
    os.dup2(os.open(done, os.O_RDWR), 0)
    held.touch()
    os.execve(sys.executable, [sys.executable, "-c", "open(0).readline()"], {})


def test_what_a_server_uses_stays_as_long_as_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedStore(tmp_path / "root") as store:
        served = add_bytes(store, tmp_path, "served", b"s").blob.store_path
        other = add_bytes(store, tmp_path, "other", b"o").blob.store_path
    monkeypatch.setattr(running, "_PROCESSES", tmp_path / "no-processes")  # as from another container
    os.mkfifo(tmp_path / "done")
    process = run_beside(_become_a_server, tmp_path / "root", tmp_path / "held", tmp_path / "done")
    while not (tmp_path / "held").exists():
        assert process.is_alive()
    with EmbeddedStore(tmp_path / "root") as store:
        assert store.collect_garbage(dry_run=False).deleted == (other,)
        assert [root.store_path for root in store.roots()] == [served]
        (tmp_path / "done").write_text("\n")
        process.join()
        assert store.collect_garbage(dry_run=False).deleted == (served,)


_IN_CONTAINER = """
import os, sys
from pathlib import Path
from tests.embedded_stores import add_bytes
from hf_pack.adapters.embedded.store import EmbeddedStore
root, name = Path(sys.argv[1]), sys.argv[2]
with EmbeddedStore(root) as store, store.session():
    add_bytes(store, root.parent / name, name, name.encode())
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    print(len(store.collect_garbage(dry_run=False).deleted), flush=True)
    sys.stdin.readline()
"""


@NEEDS_ROOT
@NEEDS_NIX[0]
@NEEDS_NIX[1]
def test_two_containers_with_the_same_process_ids(tmp_path: Path) -> None:
    """Each adds, and each collects, while both hold what no root keeps; both are process 1."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable]
    if subprocess.run([*alone, "-c", ""], capture_output=True).returncode != 0:
        pytest.skip("cannot make a process namespace")
    root = tmp_path / "root"
    with EmbeddedStore(root) as store:
        garbage = add_bytes(store, tmp_path, "garbage", b"g").blob.store_path
    containers = [
        subprocess.Popen(
            [*alone, "-c", _IN_CONTAINER, str(root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for name in ("one", "two")
    ]
    pairs = [(one.stdin, one.stdout) for one in containers]
    assert [output.readline() for _, output in pairs if output is not None] == ["1\n", "1\n"]
    assert {"1", "1-1"} <= names_in(StoreLayout.at(root).temp_roots)
    deleted = []
    for entry, output in pairs:
        assert entry is not None and output is not None
        print(file=entry, flush=True)
        deleted.append(int(output.readline()))
    assert deleted == [1, 0]
    assert {entry[33:] for entry in store_entries(root)} == {"one", "two"}
    for container in containers:
        container.communicate("\n")
        assert container.returncode == 0
    assert_sound(root)
    with EmbeddedStore(root) as store:
        assert garbage not in {info.store_path for info in store.all_paths()}


def test_a_collector_whose_socket_cannot_be_reached_is_waited_for(tmp_path: Path) -> None:
    """On a network's file system a collector of another host has its lock here, and its socket there."""
    root = tmp_path / "root"
    layout = StoreLayout.at(root)
    with EmbeddedStore(root) as store:
        add_bytes(store, tmp_path, "one", b"one")
    layout.gc_socket.parent.mkdir(exist_ok=True)
    layout.gc_socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(layout.gc_socket))  # and nobody listens
    added = threading.Event()

    def add() -> None:
        with EmbeddedStore(root) as store:
            add_bytes(store, tmp_path, "two", b"two")
        added.set()

    with locked(layout.gc_lock, exclusive=True):
        adder = threading.Thread(target=add)
        adder.start()
        while not any(b"-two\0" in (layout.temp_roots / name).read_bytes() for name in names_in(layout.temp_roots)):
            assert adder.is_alive()
        assert not added.is_set()
    adder.join()
    with EmbeddedStore(root) as store:
        assert {info.store_path.name for info in store.all_paths()} == {"one", "two"}
