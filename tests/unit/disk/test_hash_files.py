from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.embedded_stores import Quiet

from hf_pack.disk.hash_files import hash_files
from hf_pack.disk.identities import Identities
from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import FileDigest

CONTENTS = {"a": b"", "b": b"b" * 3_000_001, "c": b"c" * (1 << 20)}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = []
    for name, contents in CONTENTS.items():
        path = tmp_path / name
        path.write_bytes(contents)
        found.append(path)
    return found


@pytest.fixture
def identities(tmp_path: Path) -> Identities:
    return Identities(tmp_path / "identities.sqlite")


def test_every_file_is_hashed_in_the_order_given(paths: list[Path], identities: Identities) -> None:
    progress = Quiet()
    found = hash_files([*paths, paths[1]], identities, progress)
    expected = [FileDigest(size=len(data), sha256=Hash.sha256_of(data)) for data in CONTENTS.values()]
    assert [one.digest for one in found] == [*expected, expected[1]]
    assert [one.bytes_read for one in found] == [*map(len, CONTENTS.values()), len(CONTENTS["b"])]
    assert progress.done == sum(map(len, CONTENTS.values()))  # once, however often it is named


def test_links_are_followed(paths: list[Path], identities: Identities, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(paths[2])
    assert hash_files([link], identities, Quiet()) == hash_files([paths[2]], identities, Quiet())


def test_a_file_that_is_known_is_not_read(paths: list[Path], identities: Identities) -> None:
    status = paths[1].stat()
    later = status.st_ctime_ns + 3_000_000_000
    known = Hash.sha256_of(b"what was read then")
    identities.remember(paths[1], status, later, known)
    progress = Quiet()
    (found,) = hash_files([paths[1]], identities, progress)
    assert (found.digest, found.bytes_read, progress.done) == (FileDigest(size=3_000_001, sha256=known), 0, 0)


def test_nothing_to_hash(identities: Identities) -> None:
    assert hash_files([], identities, Quiet()) == ()


def test_what_is_no_file_is_an_error_and_ends_the_others(
    paths: list[Path], identities: Identities, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        hash_files([*paths, pipe], identities, Quiet())


def test_a_file_that_grows_meanwhile_is_an_error(paths: list[Path], identities: Identities) -> None:
    class Grows(Quiet):
        def advance(self, size: int) -> None:
            super().advance(size)
            with paths[1].open("ab") as file:
                file.write(b"more")

    with pytest.raises(OSError, match="the file changed while it was read"):
        hash_files([paths[1]], identities, Grows())
