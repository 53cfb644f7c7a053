"""What is remembered of self-contained plans."""

from __future__ import annotations

from pathlib import Path

from hf_pack.disk.known_trees import KnownTrees
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import recursive_path
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Plan, RegularFile

ONE, TWO = (recursive_path("p", Hash.sha256_of(data), ()) for data in (b"one", b"two"))


def _plan(contents: bytes) -> Plan:
    entries = (RegularFile(path="share/x", contents=contents),)
    return Plan(name="p", storage=Storage.SELF_CONTAINED, entries=entries)


def test_each_plan_leads_where_it_led_last(tmp_path: Path) -> None:
    known = KnownTrees(tmp_path / "not" / "there")
    assert known.find(_plan(b"a")) is None
    known.remember(_plan(b"a"), ONE)
    known.remember(_plan(b"b"), TWO)
    assert (known.find(_plan(b"a")), known.find(_plan(b"b"))) == (ONE, TWO)
    known.remember(_plan(b"a"), TWO)
    assert known.find(_plan(b"a")) == TWO
    assert len(list(known.directory.iterdir())) == 2


def test_what_is_known_is_not_written_again_and_what_is_no_path_is_not_known(tmp_path: Path) -> None:
    known = KnownTrees(tmp_path)
    known.remember(_plan(b"a"), ONE)
    (link,) = tmp_path.iterdir()
    inode = link.lstat().st_ino
    known.remember(_plan(b"a"), ONE)
    assert link.lstat().st_ino == inode
    link.unlink()
    link.symlink_to("nonsense")
    assert known.find(_plan(b"a")) is None
    known.remember(_plan(b"a"), ONE)
    assert known.find(_plan(b"a")) == ONE
