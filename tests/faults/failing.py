"""Commands in which something goes wrong at any change to the disk, counted; see ``scripts/fail_at.py``."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.end_to_end import Place

#: Every how manyth change is tried: `1` for all of them (hours), or by default as many as leave a few of each command.
STRIDE = int(os.environ.get("HF_PACK_FAULT_STRIDE", "0"))
_CREATE = ("open", "openat", "creat", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat")
_MOVE = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir")
_WRITE = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "fallocate", "ioctl")
_OTHER = ("ftruncate", "truncate", "chmod", "fchmodat", "utimensat")
_SYNC = ("fsync", "fdatasync", "sync_file_range")


@dataclass(frozen=True)
class Fault:
    """What happens: ``calls`` end with the ``error`` of that number, at one change or from there on; 0 is SIGKILL."""

    name: str
    error: int = 0
    calls: tuple[str, ...] = ()
    once: bool = False


KILL = Fault("killed")
FAULTS = (
    Fault("one I/O error", errno.EIO, (*_CREATE, *_MOVE, *_WRITE, *_SYNC), once=True),
    Fault("a disk that dies", errno.EIO, (*_CREATE, *_MOVE, *_WRITE, *_OTHER, *_SYNC)),
    Fault("a disk that fills up", errno.ENOSPC, (*_CREATE, *_WRITE)),
    Fault("a quota that is used up", errno.EDQUOT, (*_CREATE, *_WRITE)),
    Fault("a file system that turns read-only", errno.EROFS, (*_CREATE, *_MOVE, *_WRITE, *_OTHER)),
    Fault("permissions that are lost", errno.EACCES, (*_CREATE, *_MOVE, "chmod", "fchmodat", "utimensat")),
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), how many changes it began, the call that was hit."""

    code: int
    count: int
    at: str
    out: str
    err: str


class Driver:
    """The process that runs the commands."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, place: Place, arguments: tuple[str, ...], nth: int = 0, fault: Fault = KILL) -> Ended:
        """Run ``hf-pack`` in the place, with the fault at its ``nth`` change (0: never)."""
        out, err = self._folder / "out", self._folder / "err"
        request = {
            "environment": place.environment,
            "cwd": str(place.workspace),
            "arguments": list(arguments),
            "out": str(out),
            "err": str(err),
            "nth": nth,
            "error": fault.error,
            "once": fault.once,
            "calls": fault.calls,
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Ended(answer["code"], answer["count"], answer["at"], out.read_text(), err.read_text())


@contextmanager
def driver(folder: Path) -> Iterator[Driver]:
    """Skips the test where the kernel offers no such thing."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("needs system calls by their x86-64 numbers")
    script = Path(__file__).parent / "scripts" / "fail_at.py"
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        yield Driver(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def points(count: int, few: int, first: int = 0) -> range:
    """The changes that are tried, of ``count``: every ``STRIDE``-th, else ``few`` from the ``first`` on."""
    return range(1 + first, count + 1, STRIDE) if STRIDE else range(1 + first, count + 1, max(1, count // few))


def kept(place: Place) -> Path:
    """A copy of the place as it is now, for :func:`restore`."""
    copy = place.home.with_name(f"{place.home.name}-kept")
    subprocess.run(["cp", "-a", place.home, copy], check=True)
    return copy


def restore(place: Place, copy: Path) -> None:
    """Make the place what it was, where it was: links into it are absolute."""
    subprocess.run(["chmod", "-R", "u+w", place.home], check=True)
    shutil.rmtree(place.home)
    subprocess.run(["cp", "-a", copy, place.home], check=True)
