from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_pack.disk import proofs as module
from hf_pack.disk.proofs import Claim, Proofs, identity_of, measure_verity
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import flat_content_address, flat_path
from hf_pack.model.path_info import PathInfo

SECOND = 1_000_000_000
SHA256 = Hash.sha256_of(b"contents")


def info(contents: bytes = b"contents") -> PathInfo:
    sha256 = Hash.sha256_of(contents)
    nar_hash, nar_size = nar.hash_and_size(nar.NarFile(contents))
    return PathInfo(
        store_path=flat_path("w.bin", sha256),
        nar_hash=nar_hash,
        nar_size=nar_size,
        content_address=flat_content_address(sha256),
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An object with a file in a directory, an executable one, and a link."""
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "file").write_bytes(b"contents")
    (tree / "run").write_bytes(b"#!")
    (tree / "run").chmod(0o755)
    (tree / "link").symlink_to("a/file")
    return tree


@pytest.fixture
def memory(tmp_path: Path) -> Proofs:
    return Proofs(tmp_path / "proofs.sqlite")


def later(seconds: float = 60) -> int:
    """A moment that many seconds from now: as if what was just written had been quiet since."""
    return time.time_ns() + int(seconds * SECOND)


def prove(memory: Proofs, claim: Claim, at: int | None = None) -> int:
    started = at or later()
    memory.record(claim, identity_of(claim.real_path), started)
    return started // SECOND


def test_a_proof_is_found_with_its_time_by_another_process_too(tmp_path: Path, memory: Proofs, tree: Path) -> None:
    claim = Claim(real_path=tree, info=info())
    assert memory.find([claim]) == {}
    proved_at = prove(memory, claim)
    assert Proofs(tmp_path / "proofs.sqlite").find([claim]) == {claim.info.store_path: proved_at}


def _rewrite(tree: Path) -> None:
    (tree / "a" / "file").write_bytes(b"CONTENTS")


def _rewrite_with_its_time_set_back(tree: Path) -> None:
    status = (tree / "a" / "file").stat()
    _rewrite(tree)
    os.utime(tree / "a" / "file", ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(tree: Path) -> None:
    (tree / "new").write_bytes(b"contents")
    (tree / "new").replace(tree / "a" / "file")


def _add(tree: Path) -> None:
    (tree / "a" / "more").symlink_to("file")


def _remove(tree: Path) -> None:
    (tree / "link").unlink()


def _turn(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("a/File")


def _forbid_to_run(tree: Path) -> None:
    (tree / "run").chmod(0o644)


def _rename(tree: Path) -> None:
    (tree / "a").rename(tree / "b")


def _vanish(tree: Path) -> None:
    tree.rename(tree.with_name("elsewhere"))


@pytest.mark.parametrize(
    "change",
    [_rewrite, _rewrite_with_its_time_set_back, _replace, _add, _remove, _turn, _forbid_to_run, _rename, _vanish],
)
def test_what_changed_is_not_proved(memory: Proofs, tree: Path, change: Callable[[Path], None]) -> None:
    claim = Claim(real_path=tree, info=info())
    prove(memory, claim)
    change(tree)
    assert memory.find([claim]) == {}


def test_a_moved_object_is_the_same_one(memory: Proofs, tree: Path) -> None:
    claim = Claim(real_path=tree, info=info())
    proved_at = prove(memory, claim)
    moved = tree.rename(tree.with_name("moved"))
    assert memory.find([Claim(real_path=moved, info=info())]) == {info().store_path: proved_at}


def test_another_claim_is_another_proof(memory: Proofs, tree: Path) -> None:
    prove(memory, Claim(real_path=tree, info=info()))
    other = PathInfo(store_path=info().store_path, nar_hash=Hash.sha256_of(b"other"), nar_size=1)
    assert memory.find([Claim(real_path=tree, info=other)]) == {}
    unaddressed = PathInfo(store_path=info().store_path, nar_hash=info().nar_hash, nar_size=info().nar_size)
    prove(memory, Claim(real_path=tree, info=unaddressed))
    assert memory.find([Claim(real_path=tree, info=unaddressed, sha256=SHA256)]) == {}


def test_a_content_address_says_the_same_as_a_locks_sha256(memory: Proofs, tree: Path) -> None:
    prove(memory, Claim(real_path=tree, info=info()))
    assert memory.find([Claim(real_path=tree, info=info(), sha256=SHA256)]) != {}
    assert memory.find([Claim(real_path=tree, info=info(), sha256=Hash.sha256_of(b"x"))]) == {}


@pytest.mark.parametrize("seconds", [-3600.0, 0.0, 1.9])
def test_what_was_not_quiet_is_read_once_more(memory: Proofs, tree: Path, seconds: float) -> None:
    """A change within the grain of a time stamp would not be seen; nor does a clock that is behind the files' times
    say anything."""
    claim = Claim(real_path=tree, info=info())
    changed = identity_of(tree)
    assert changed is not None
    prove(memory, claim, changed.changed_ns + int(seconds * SECOND))
    assert memory.find([claim]) == {}
    prove(memory, claim, changed.changed_ns + 2 * SECOND)
    assert memory.find([claim]) != {}


def test_what_changed_while_it_was_read_is_not_proved_and_what_was_forgotten_neither(
    memory: Proofs, tree: Path
) -> None:
    claim = Claim(real_path=tree, info=info())
    before = identity_of(tree)
    _rewrite(tree)
    memory.record(claim, before, later())
    assert memory.find([claim]) == {}
    prove(memory, claim)
    memory.forget(claim.info.store_path)
    assert memory.find([claim]) == {}


def test_a_damaged_memory_knows_nothing_and_is_made_anew(tmp_path: Path, memory: Proofs, tree: Path) -> None:
    claim = Claim(real_path=tree, info=info())
    prove(memory, claim)
    (tmp_path / "proofs.sqlite").write_bytes(b"this is no database" * 500)
    assert memory.find([claim]) == {}
    prove(memory, claim)
    assert memory.find([claim]) != {}


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path, tree: Path) -> None:
    claim = Claim(real_path=tree, info=info())
    memory = Proofs(tmp_path / "absent" / "proofs.sqlite")
    prove(memory, claim)
    assert memory.find([claim]) == {}


def test_the_oldest_entries_go(memory: Proofs, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 2)
    claims = [Claim(real_path=tree, info=info(b"%d" % number)) for number in range(3)]
    for claim in claims:
        prove(memory, claim)
    assert memory.find(claims).keys() == {claim.info.store_path for claim in claims[1:]}


def test_a_fs_verity_digest_stands_for_the_bytes(memory: Proofs, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times and inodes do not matter then; the digest, the size and who may execute do."""
    digests = {b"file": b"one", b"run": b"two"}
    monkeypatch.setattr(module, "measure_verity", lambda path: (1, digests[path.rsplit(b"/", 1)[-1]]))
    claim = Claim(real_path=tree, info=info())
    prove(memory, claim, time.time_ns())  # no time to be quiet in is needed
    _replace(tree)
    assert memory.find([claim]) != {}
    digests[b"file"] = b"three"
    assert memory.find([claim]) == {}
    digests[b"file"] = b"one"
    _forbid_to_run(tree)
    assert memory.find([claim]) == {}


def test_a_plain_file_has_no_fs_verity_digest(tree: Path) -> None:
    assert measure_verity(bytes(tree / "a" / "file")) is None
