from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from hf_pack.disk import identities as module
from hf_pack.disk.identities import Identities
from hf_pack.formats.hashes import Hash

SECOND = 1_000_000_000
HASH = Hash.sha256_of(b"contents")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "identities.sqlite"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"contents")
    return path


def quiet(path: Path, seconds: float = 60) -> int:
    """A moment that many seconds after the last change of the file."""
    status = path.stat()
    return max(status.st_mtime_ns, status.st_ctime_ns) + int(seconds * SECOND)


def known(cache: Path, file: Path) -> Identities:
    identities = Identities(cache)
    identities.remember(file, file.stat(), quiet(file), HASH)
    assert identities.find(file) == HASH
    return identities


def test_finds_what_it_remembers_also_through_links_and_in_another_process(cache: Path, file: Path) -> None:
    known(cache, file)
    link = file.with_name("link")
    link.symlink_to(file.name)
    script = (
        "import sys; from pathlib import Path; from hf_pack.disk.identities import Identities\n"
        "found = Identities(Path(sys.argv[1])).find(Path(sys.argv[2])); print(found and found.hex())"
    )
    command = [sys.executable, "-c", script, str(cache), str(link)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == HASH.hex()


def test_knows_nothing_at_first(cache: Path, file: Path) -> None:
    assert Identities(cache).find(file) is None
    assert Identities(cache).find(file.with_name("absent")) is None


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 1.999])
def test_a_file_that_was_not_quiet_is_not_remembered(cache: Path, file: Path, seconds: float) -> None:
    identities = Identities(cache)
    identities.remember(file, file.stat(), quiet(file, seconds), HASH)
    assert identities.find(file) is None
    identities.remember(file, file.stat(), quiet(file, 2.0), HASH)
    assert identities.find(file) == HASH


def test_many_are_remembered_at_once_but_for_those_that_changed(cache: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.bin" for n in range(4)]
    for file in files:
        file.write_bytes(b"contents")
    entries = [(file, file.stat(), HASH) for file in files]
    files[1].unlink()
    files[2].write_bytes(b"other contents")
    identities = Identities(cache)
    identities.remember_all(entries, quiet(files[0]))
    assert [identities.find(file) for file in files] == [HASH, None, None, HASH]
    identities.remember_all([], 0)


def test_a_rewrite_with_the_same_size_and_mtime_is_noticed(cache: Path, file: Path) -> None:
    identities = known(cache, file)
    before = file.stat()
    file.write_bytes(b"CONTENTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert identities.find(file) is None


def test_another_file_in_its_place_is_noticed(cache: Path, file: Path) -> None:
    identities = known(cache, file)
    other = file.with_name("other")
    other.write_bytes(b"CONTENTS")
    other.replace(file)
    assert identities.find(file) is None


def test_a_change_while_it_was_hashed_is_not_remembered(cache: Path, file: Path) -> None:
    identities = Identities(cache)
    before = file.stat()
    file.write_bytes(b"other")
    identities.remember(file, before, quiet(file), HASH)
    assert identities.find(file) is None
    file.unlink()
    identities.remember(file, before, before.st_ctime_ns + 60 * SECOND, HASH)


def test_the_latest_hash_counts(cache: Path, file: Path) -> None:
    identities = known(cache, file)
    file.write_bytes(b"new")
    identities.remember(file, file.stat(), quiet(file), Hash.sha256_of(b"new"))
    assert identities.find(file) == Hash.sha256_of(b"new")


@pytest.mark.parametrize(
    "damage", [b"this is no database, and long enough to have a header" * 40, b"SQLite format 3\0" * 99]
)
def test_a_damaged_file_is_made_anew(cache: Path, file: Path, damage: bytes) -> None:
    cache.write_bytes(damage)
    assert Identities(cache).find(file) is None
    known(cache, file)


def test_a_foreign_schema_is_made_anew(cache: Path, file: Path) -> None:
    with closing(sqlite3.connect(cache)) as connection, connection:
        connection.execute("create table Files (other integer)")
    known(cache, file)


def test_a_row_that_holds_no_hash_is_no_answer(cache: Path, file: Path) -> None:
    identities = known(cache, file)
    with closing(sqlite3.connect(cache)) as connection, connection:
        connection.execute("update Files set sha256 = 'text'")
    assert identities.find(file) is None
    known(cache, file)


def test_where_nothing_can_be_written_it_knows_nothing(file: Path) -> None:
    for path in (file / "below-a-file", file.with_name("absent") / "x", file.parent):
        identities = Identities(path)
        identities.remember(file, file.stat(), quiet(file), HASH)
        assert identities.find(file) is None
    assert file.read_bytes() == b"contents"


def test_old_entries_go(cache: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 3)
    identities = Identities(cache)
    files = [file.with_name(f"f{number}") for number in range(5)]
    for number, path in enumerate(files):
        path.write_bytes(b"%d" % number)
        identities.remember(path, path.stat(), quiet(path), Hash.sha256_of(path.read_bytes()))
    assert [identities.find(path) is not None for path in files] == [False, False, True, True, True]


def test_many_threads_share_it(cache: Path, file: Path) -> None:
    files = [file.with_name(f"f{number}") for number in range(24)]
    for path in files:
        path.write_bytes(path.name.encode())

    def work(mine: list[Path]) -> None:
        identities = Identities(cache)
        for path in mine:
            identities.remember(path, path.stat(), quiet(path), Hash.sha256_of(path.read_bytes()))

    threads = [threading.Thread(target=work, args=(files[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Identities(cache).find(path) for path in files] == [Hash.sha256_of(p.read_bytes()) for p in files]
