from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hf_pack.disk import front_hash
from hf_pack.disk.front_hash import FrontHash
from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1050])
def test_the_digests_are_those_of_what_lay_before_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(front_hash, "_CHUNK", 100)
    contents = bytes(range(251)) * 5
    path = tmp_path / "data"
    with path.open("w+b") as file:
        hashing = FrontHash(file.fileno(), size)
        for end in [*range(0, size, 70), size]:
            os.pwrite(file.fileno(), contents[:end], 0)
            hashing.advance(end)
            hashing.advance(end // 2)  # what is late does no harm
        found = hashing.result()
        hashing.stop()
    assert found.sha256 == Hash.sha256_of(contents[:size])
    assert found.nar_hash == nar.hash_and_size(nar.NarFile(contents[:size]))[0]
    assert found.size == size


def test_the_threads_end_wherever_they_are(tmp_path: Path) -> None:
    threads = threading.active_count()
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(10 << 20)
        hashing = FrontHash(file.fileno(), 10 << 20)
        hashing.advance(3 << 20)
        hashing.stop()
        hashing.stop()
    assert threading.active_count() == threads


def test_a_file_that_gets_shorter_is_an_error(tmp_path: Path) -> None:
    with (tmp_path / "data").open("w+b") as file:
        hashing = FrontHash(file.fileno(), 1000)
        hashing.advance(1000)
        with pytest.raises(OSError, match="shorter"):
            hashing.result()
        hashing.stop()
