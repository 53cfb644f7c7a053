from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from hf_pack.disk.object_hash import hash_flat, hash_tree
from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash

MIB = 1 << 20


def silent(_: int) -> None:
    pass


@pytest.mark.parametrize("size", [0, 1, 7, 8, MIB - 1, MIB, MIB + 1, 9 * MIB + 3])
def test_flat(tmp_path: Path, size: int) -> None:
    data = (b"0123456789a" * (size // 11 + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(data)
    done: list[int] = []
    result = hash_flat(path, done.append)
    assert result.sha256 == Hash.sha256_of(data)
    assert result.nar_hash == nar.hash_and_size(nar.NarFile(data))[0]
    assert result.size == size == sum(done)


def test_flat_refuses_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "absent", "."):
        with pytest.raises(OSError, match=r".+"):
            hash_flat(tmp_path / name, silent)


def test_flat_says_so_when_the_file_gets_shorter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(30 * MIB))
    once = threading.Lock()

    def progress(_: int) -> None:
        if once.acquire(blocking=False):
            os.truncate(path, 20 * MIB)

    with pytest.raises(OSError, match="got shorter"):
        hash_flat(path, progress)


def awkward_tree(root: Path) -> Path:
    """Everything in which a NAR can differ, in one directory."""
    tree = root / "tree"
    (tree / "empty").mkdir(parents=True)
    deep = tree / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    (tree / "a.b").write_bytes(b"")
    (tree / "a").mkdir()  # before "a.b" in bytes, after it when sorted with its slash
    (tree / "Ünïcode 模型").write_bytes(b"name")
    (tree / os.fsdecode(b"\xff\xfe")).write_bytes(b"no UTF-8")
    (tree / "group-only").write_bytes(b"not executable")
    (tree / "group-only").chmod(0o655)
    (tree / "owner").write_bytes(b"executable")
    (tree / "owner").chmod(0o744)
    (tree / "dangling").symlink_to("../nowhere/./x//y")
    os.symlink(b"./b//c/", os.fsencode(tree / "untidy"))  # noqa: PTH211 - Path would tidy it
    os.link(tree / "owner", tree / "owner-again")
    (tree / "big").write_bytes(b"x" * (MIB + 3))
    return tree


def test_tree_by_hand(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "z").write_bytes(b"run")
    (tmp_path / "t" / "z").chmod(0o755)
    os.symlink("a//b/", tmp_path / "t" / "l")  # noqa: PTH211 - Path would tidy it
    expected = nar.directory({b"z": nar.NarFile(b"run", executable=True), b"l": nar.NarSymlink(b"a//b/")})
    done: list[int] = []
    result = hash_tree(tmp_path / "t", done.append)
    assert (result.nar_hash, result.nar_size) == nar.hash_and_size(expected)
    assert sum(done) == 3


@pytest.mark.nix
@pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store")
def test_trees_as_nix_dumps_them(tmp_path: Path) -> None:
    tree = awkward_tree(tmp_path)
    for path in (tree, *tree.iterdir()):
        dump = subprocess.run(["nix-store", "--dump", path], check=True, capture_output=True).stdout
        result = hash_tree(path, silent)
        assert result.nar_hash.digest == hashlib.sha256(dump).digest(), path
        assert result.nar_size == len(dump)


def test_tree_refuses_what_a_nar_cannot_hold(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="pipe"):
        hash_tree(tmp_path, silent)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(FormatError, match="socket"):
            hash_tree(tmp_path, silent)
    with pytest.raises(FileNotFoundError):
        hash_tree(tmp_path / "absent", silent)


def test_tree_refuses_endless_depth(tmp_path: Path) -> None:
    deep = tmp_path / "/".join(["d"] * (nar.MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    with pytest.raises(FormatError, match="within each other"):
        hash_tree(tmp_path, silent)


def test_tree_notices_a_file_that_changes_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2 * MIB))
    (tmp_path / "b").write_bytes(b"short")
    once = threading.Lock()

    def progress(_: int) -> None:
        if once.acquire(blocking=False):
            (tmp_path / "b").write_bytes(b"longer than before")

    with pytest.raises(FormatError, match="bytes gives more"):
        hash_tree(tmp_path, progress)
