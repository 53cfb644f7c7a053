"""What the tests of the embedded store share: files to add, plans, real Nix beside it, processes beside it."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hf_pack.adapters.embedded.store import EmbeddedStore
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Plan, RegularFile, Symlink
from hf_pack.ports import AddedBlob, FileToAdd

NEEDS_NIX = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix-store") is None, reason="needs nix-store"),
]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_NIX_CONFIG = "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\nsubstituters =\n"


class Quiet:
    """A Progress that counts."""

    def __init__(self) -> None:
        self.done = 0

    def start(self, what: str, total: int) -> None:
        pass

    def advance(self, size: int) -> None:
        self.done += size

    def finish(self) -> None:
        pass

    def child(self, name: str, size: int) -> Quiet:
        return self

    def note(self, line: str) -> None:
        pass

    def detail(self, line: str) -> None:
        pass


def source_file(folder: Path, name: str, contents: bytes) -> FileToAdd:
    """A file on disk, to be added under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(contents)
    return FileToAdd(name=name, real_path=path)


def add_bytes(store: EmbeddedStore, folder: Path, name: str, contents: bytes) -> AddedBlob:
    """Add one blob."""
    return store.add_blobs([source_file(folder, name, contents)], Quiet())[0]


def linked_plan(name: str, blobs: Iterable[Blob], *, text: bytes = b"{}") -> Plan:
    """A tree with one small file and a link to each blob."""
    links = [
        Symlink(path=f"weights/{index}-{blob.name}", target=f"../../{blob.store_path.base_name}", blob=blob)
        for index, blob in enumerate(blobs)
    ]
    return Plan(name=name, storage=Storage.LINKED, entries=(RegularFile(path="config.json", contents=text), *links))


def self_contained_plan(name: str, blobs: Iterable[Blob], *, text: bytes = b"{}") -> Plan:
    """A tree with one small file, the blobs themselves, and a link within it."""
    files = [RegularFile(path=f"weights/{index}-{blob.name}", contents=blob) for index, blob in enumerate(blobs)]
    return Plan(
        name=name,
        storage=Storage.SELF_CONTAINED,
        entries=(
            RegularFile(path="a/config.json", contents=text),
            Symlink(path="a/weights", target="../weights"),
            *files,
        ),
    )


def nix(root: Path, *arguments: str, program: str = "nix-store", check: bool = True) -> str:
    """Run real Nix on the store below ``root``; returns stdout."""
    done = subprocess.run(
        [program, "--store", str(root), *arguments],
        env={**os.environ, "NIX_CONFIG": _NIX_CONFIG},
        capture_output=True,
        text=True,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{program} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def nix_lines(root: Path, *arguments: str) -> list[str]:
    """Run ``nix-store``; its lines, sorted."""
    return sorted(nix(root, *arguments).split("\n")[:-1])


def nix_path_info(root: Path, store_path: StorePath) -> Any:
    """``nix path-info --json`` of one path, in the form of any version."""
    document = json.loads(nix(root, "path-info", "--json", str(store_path), program="nix"))
    return document[0] if isinstance(document, list) else document[str(store_path)]


def assert_sound(root: Path) -> None:
    """Real Nix finds nothing to say about the store."""
    said = nix(root, "--verify", "--check-contents", check=False)
    assert "error" not in said and "warning" not in said, said


def store_entries(root: Path) -> set[str]:
    """The names in the store directory, without Nix's links."""
    return {path.name for path in (root / "nix" / "store").iterdir()} - {".links"}


def snapshot(root: Path) -> list[tuple[str, int, int, bytes]]:
    """Everything below a store's root but SQLite's side files: name, mode, mtime, contents or target."""
    found = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.name.startswith("db.sqlite-") or (path.is_dir() and path.name == "db"):
            continue
        contents = b""
        if path.is_symlink():
            contents = bytes(path.readlink())
        elif path.is_file():
            contents = path.read_bytes()
        found.append((str(path), status.st_mode, status.st_mtime_ns, contents))
    return found


def run_beside(target: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    """Start a process of its own that runs a function of a test module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hf_pack.adapters.embedded.store", "tests.embedded_stores"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def kill_this_process_at(number: int, calls: Iterable[str]) -> None:
    """Kill the process just before its ``number``-th call, in whatever thread, of these functions of ``os``."""
    made = count(1)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*arguments: Any, **named: Any) -> Any:
            if next(made) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    for name in calls:
        setattr(os, name, counted(getattr(os, name)))
