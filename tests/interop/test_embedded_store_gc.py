"""Garbage collection: Nix's collector with our roots, ours with Nix's, and what each leaves of the other."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.embedded_stores import (
    NEEDS_NIX,
    Quiet,
    add_bytes,
    assert_sound,
    linked_plan,
    nix,
    nix_lines,
    self_contained_plan,
    store_entries,
)

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.store_path import StorePath

pytestmark = NEEDS_NIX


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "root")


def _package(store: EmbeddedStore, tmp_path: Path, name: str, contents: bytes) -> tuple[StorePath, StorePath]:
    """A linked tree and its blob."""
    with store.session():
        blob = add_bytes(store, tmp_path / "src", f"{name}.bin", contents).blob
        return store.add_tree(linked_plan(name, [blob]), Quiet()).info.store_path, blob.store_path


def _owner(tmp_path: Path, name: str) -> Path:
    owner = tmp_path / name
    owner.write_text("")
    return owner


def test_nix_keeps_what_we_root(store: EmbeddedStore, tmp_path: Path) -> None:
    live, live_blob = _package(store, tmp_path, "live", b"live")
    dead, dead_blob = _package(store, tmp_path, "dead", b"dead")
    owner = _owner(tmp_path, "live.lock")
    store.add_root(owner, [live])
    assert str(live) in nix(store.root, "--gc", "--print-roots")
    assert nix_lines(store.root, "--gc", "--print-live") == sorted(map(str, [live, live_blob]))
    assert nix_lines(store.root, "--gc", "--print-dead") == sorted(map(str, [dead, dead_blob]))
    would = store.collect_garbage(dry_run=True)
    assert (would.deleted, would.kept) == (tuple(sorted([dead, dead_blob])), 2)
    nix(store.root, "--gc")
    assert {info.store_path for info in store.all_paths()} == {live, live_blob}
    owner.unlink()
    assert store.roots() == ()
    assert store.collect_garbage(dry_run=False).deleted == tuple(sorted([live, live_blob]))
    assert store_entries(store.root) == set()
    assert_sound(store.root)


def test_we_keep_what_nix_roots(store: EmbeddedStore, tmp_path: Path) -> None:
    direct, direct_blob = _package(store, tmp_path, "direct", b"1")
    indirect, indirect_blob = _package(store, tmp_path, "indirect", b"2")
    profile, profile_blob = _package(store, tmp_path, "profile", b"3")
    _package(store, tmp_path, "dead", b"4")
    state = store.root / "nix" / "var" / "nix"
    (state / "gcroots" / "mine").symlink_to(str(direct))
    nix(store.root, "--realise", str(indirect), "--add-root", str(tmp_path / "result"), "--indirect")
    (state / "profiles" / "system-1-link").symlink_to(str(profile))
    kept = {direct, direct_blob, indirect, indirect_blob, profile, profile_blob}
    assert nix_lines(store.root, "--gc", "--print-live") == sorted(map(str, kept))
    store.collect_garbage(dry_run=False)
    assert {info.store_path for info in store.all_paths()} == kept
    (tmp_path / "result").unlink()
    store.collect_garbage(dry_run=False)
    assert {info.store_path for info in store.all_paths()} == kept - {indirect, indirect_blob}
    assert list((state / "gcroots" / "auto").iterdir()) == []
    assert_sound(store.root)


def test_optimised_files_go_with_their_last_object(store: EmbeddedStore, tmp_path: Path) -> None:
    with store.session():
        one = add_bytes(store, tmp_path / "src", "one.bin", b"same" * 100_000).blob
        two = add_bytes(store, tmp_path / "src", "two.bin", b"same" * 100_000).blob
        tree = store.add_tree(self_contained_plan("tree", [one, two]), Quiet()).info.store_path
    nix(store.root, "--optimise")
    assert list((store.root / "nix" / "store" / ".links").iterdir())
    owner = _owner(tmp_path, "two.lock")
    store.add_root(owner, [two.store_path])
    would = store.collect_garbage(dry_run=True)
    did = store.collect_garbage(dry_run=False)
    assert would == did
    assert did.deleted == tuple(sorted([one.store_path, tree]))
    assert did.freed < 400_000  # the bytes are still there
    assert store.check(two.store_path, Quiet()) == ()
    assert_sound(store.root)
    owner.unlink()
    assert 400_000 <= store.collect_garbage(dry_run=True).freed == store.collect_garbage(dry_run=False).freed
    assert list((store.root / "nix" / "store" / ".links").iterdir()) == []


def test_a_derivation_lives_as_long_as_what_it_made(store: EmbeddedStore, tmp_path: Path) -> None:
    # As a build leaves it: the output is registered with its deriver.
    source = tmp_path / "out"
    source.write_bytes(b"contents")
    output = nix(store.root, "--add-fixed", "sha256", str(source)).strip()
    expression = 'derivation { name = "out"; system = "any"; builder = "none"; }'
    drv = nix(store.root, "-E", expression, program="nix-instantiate").strip()
    with closing(sqlite3.connect(store.root / "nix/var/nix/db/db.sqlite")) as database:
        database.execute("update ValidPaths set deriver = ? where path = ?", (drv, output))
        database.commit()
    owner = _owner(tmp_path, "out.lock")
    store.add_root(owner, [StorePath.parse(output)])
    assert nix_lines(store.root, "--gc", "--print-live") == sorted([drv, output])
    assert store.collect_garbage(dry_run=False).deleted == ()
    owner.unlink()
    assert sorted(map(str, store.collect_garbage(dry_run=False).deleted)) == sorted([drv, output])


_HOLD = """
import sys, pathlib
from tests.embedded_stores import Quiet, add_bytes
from hf_pack.adapters.embedded.store import EmbeddedStore
store = EmbeddedStore(pathlib.Path(sys.argv[1]))
with store.session():
    print(add_bytes(store, pathlib.Path(sys.argv[2]), "held.bin", b"held").blob.store_path, flush=True)
    sys.stdin.read()
"""


def test_a_living_process_keeps_what_it_added(store: EmbeddedStore, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store.root), str(tmp_path / "src")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        held = StorePath.parse(holder.stdout.readline().strip())
        dead, _ = _package(store, tmp_path, "dead", b"dead")
        assert [root.store_path for root in store.roots()] == [held]
        nix(store.root, "--gc")
        assert store.valid_paths([held, dead]) == {held}
        assert store.collect_garbage(dry_run=False).deleted == ()
        holder.send_signal(signal.SIGKILL)
    assert store.roots() == ()
    assert store.collect_garbage(dry_run=False).deleted == (held,)
    assert_sound(store.root)


def test_leftovers_of_killed_processes_go(store: EmbeddedStore, tmp_path: Path) -> None:
    live, blob = _package(store, tmp_path, "live", b"live")
    store.add_root(_owner(tmp_path, "live.lock"), [live])
    directory = store.root / "nix" / "store"
    half_made = directory / ("0" * 32 + "-half-made")
    half_made.mkdir(0o555)
    (directory / ("0" * 32 + "-half-made.lock")).touch()
    (directory / "tmp.123").write_bytes(b"x" * 5000)
    (store.root / "nix" / "var" / "hf-pack" / "staging" / "1-dead").mkdir()
    assert nix_lines(store.root, "--gc", "--print-dead") == sorted(
        ["/nix/store/tmp.123", f"/nix/store/{'0' * 32}-half-made", f"/nix/store/{'0' * 32}-half-made.lock"]
    )
    would = store.collect_garbage(dry_run=True)
    assert would.deleted == (StorePath("0" * 32, "half-made"),)
    assert store.collect_garbage(dry_run=False) == would
    assert store_entries(store.root) == {live.base_name, blob.base_name}
    assert list((store.root / "nix" / "var" / "hf-pack" / "staging").iterdir()) == []
