from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.models import write_flat

from hf_pack.adapters.local.walk import Walked, walk


def walked(root: Path) -> Walked:
    return walk(root, boundary=root, mend="MEND")


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in sorted(walked(root).problems)]


def test_files_are_sorted_and_bookkeeping_is_passed_over(tmp_path: Path) -> None:
    write_flat(
        tmp_path,
        {"b": b"12", "a/c": b"1", ".git/x": b"", ".cache/y": b"", "a/.DS_Store": b"", "m.lock": b"", ".gitignore": b""},
    )
    assert [(file.path, file.size) for file in walked(tmp_path).files] == [(".gitignore", 0), ("a/c", 1), ("b", 2)]
    assert problems(tmp_path) == []


def test_links_inside_are_followed_to_the_real_file(tmp_path: Path) -> None:
    write_flat(tmp_path, {"real/file": b"x"})
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("three")
    (tmp_path / "three").symlink_to("real/file")
    (tmp_path / "directory").symlink_to("real")
    found = {file.path: file.real_path for file in walked(tmp_path).files}
    real = (tmp_path / "real" / "file").resolve()
    assert found == dict.fromkeys(("one", "two", "three", "real/file", "directory/file"), real)


def test_links_that_leave_the_source(tmp_path: Path) -> None:
    root = write_flat(tmp_path / "m", {"config.json": b"{}"})
    write_flat(tmp_path, {"secret": b"x", "blobs/x": b"", "models--x/other/x": b""})
    (root / "a").symlink_to("../secret")
    (root / "b").symlink_to(tmp_path / "blobs")
    (root / "c").symlink_to(tmp_path / "blobs" / "x")
    (root / "d").symlink_to(tmp_path / "models--x" / "other" / "x")
    outside = "expected a link to a file of the model, found one that leaves it"
    assert problems(root) == [
        f"a: {outside}: {tmp_path}/secret",
        f"b: {outside}: {tmp_path}/blobs",
        f"c: {outside}: {tmp_path}/blobs/x",
        f"d: {outside}: {tmp_path}/models--x/other/x",
    ]


def test_a_sibling_with_the_same_prefix_is_outside(tmp_path: Path) -> None:
    root = write_flat(tmp_path / "m", {"config.json": b"{}"})
    write_flat(tmp_path / "m-secret", {"x": b""})
    (root / "x").symlink_to("../m-secret/x")
    assert len(problems(root)) == 1


def test_dangling_links_and_loops(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("gone")
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    write_flat(tmp_path, {"d/x": b""})
    (tmp_path / "d" / "up").symlink_to("..")
    assert problems(tmp_path) == [
        f"a: expected a file behind the link, found nothing at {tmp_path}/gone",
        f"b: expected a file behind the link, found nothing at {tmp_path}/gone",
        "d/up: expected a link to a file, found a loop of links",
        "loop: expected a link to a file, found a loop of links",
        "pool: expected a link to a file, found a loop of links",
    ]
    assert {problem.hint for problem in walked(tmp_path).problems} == {"MEND", "delete the link"}


def test_things_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    assert problems(tmp_path) == [
        "pipe: expected a file, found a named pipe",
        "socket: expected a file, found a socket",
    ]


def test_a_device_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    assert problems(tmp_path) == ["null: expected a link to a file of the model, found one that leaves it: /dev/null"]


def test_names(tmp_path: Path) -> None:
    for name in (b"new\nline", b"back\\slash", b"latin-\xe9", b"a~nix~case~hack~1"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    assert problems(tmp_path) == [
        "a~nix~case~hack~1: expected a name without '~nix~case~hack~', which Nix cuts off on macOS",
        "back\\slash: expected a name without backslashes",
        "latin-\\udce9: expected a name in UTF-8, found other bytes",
        "new\\nline: expected a name without control characters",
    ]


def test_names_that_differ_only_in_case(tmp_path: Path) -> None:
    write_flat(tmp_path, {"Config.json": b"", "config.json": b""})
    assert problems(tmp_path) == ["Config.json: expected names that differ in more than case, found config.json"]


@pytest.mark.parametrize("name", ["model.safetensors.incomplete", "x.part", "sub/x.partial", "x.aria2"])
def test_unfinished_downloads(name: str, tmp_path: Path) -> None:
    write_flat(tmp_path, {name: b"x"})
    assert problems(tmp_path) == [f"{name}: expected a finished download, found a part of one"]


_AS_SOMEBODY = """
import os, sys
from pathlib import Path
from hf_pack.adapters.local.walk import walk
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
root = Path(sys.argv[1])
for problem in sorted(walk(root, boundary=root, mend="MEND").problems):
    print(problem)
    print(problem.hint)
"""


def test_unreadable_files_and_directories() -> None:
    """In another process, because root reads everything, and so below a directory that all may enter."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        root = write_flat(Path(place) / "m", {"file": b"x", "closed/file": b"x"})
        (root / "file").chmod(0)
        (root / "closed").chmod(0)
        command = [sys.executable, "-c", _AS_SOMEBODY, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (root / "closed").chmod(0o755)
    assert done.stdout.splitlines() == [
        "closed: cannot be read (Permission denied)",
        f"chmod u+rx {root}/closed",
        "file: cannot be read (Permission denied)",
        f"chmod u+r {root}/file",
    ]


def test_all_problems_at_once(tmp_path: Path) -> None:
    write_flat(tmp_path, {"x.incomplete": b"", "good": b""})
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert len(problems(tmp_path)) == 3
    assert [file.path for file in walked(tmp_path).files] == ["good"]
