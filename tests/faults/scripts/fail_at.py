"""Runs ``hf-pack`` again and again, each time with something happening at its n-th change to the disk.

A change is a system call of any thread or child that changes a file system: what Python makes and what SQLite makes.
What is sent to a server counts as one, too.
The kernel stops each one before it is made (seccomp's user notification, ``seccomp_unotify(2)``) and asks this process,
which counts it and lets it go on, kills the command's whole process group, or has the call fail with an error number.

Reads one request a line (JSON) and answers each with a line: see :mod:`tests.faults.failing`. A process of its own,
with one thread, because every command is a fork of it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import fcntl
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

# System calls of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
BY_DESCRIPTOR = {
    "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "pwritev2": 328, "sendfile": 40, "copy_file_range": 326,
    "ftruncate": 77, "fallocate": 285, "fsync": 74, "fdatasync": 75, "sync_file_range": 277, "fchmod": 91,
}  # fmt: skip
BY_PATH = {
    "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88, "symlinkat": 266,
    "unlink": 87, "unlinkat": 263, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "chmod": 90, "fchmodat": 268,
    "truncate": 76, "utimensat": 280, "creat": 85,
}  # fmt: skip
SENDTO = 44
OPEN, OPENAT, IOCTL = 2, 257, 16
FICLONE = 0x40049409
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
NAMES = {number: name for name, number in (BY_DESCRIPTOR | BY_PATH).items()} | {
    OPEN: "open", OPENAT: "openat", IOCTL: "ioctl", SENDTO: "sendto",
}  # fmt: skip
DESCRIPTORS = {*BY_DESCRIPTOR.values(), IOCTL}

# include/uapi/linux/seccomp.h and bpf_common.h.
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
LOAD, EQUAL, ANY_OF, RETURN = 0x20, 0x15, 0x45, 0x06
X86_64 = 0xC000003E
NOTIFICATION = struct.Struct("=QIIiIQ6Q")
ANSWER = struct.Struct("=QqiI")
RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
SYS_SECCOMP, SET_FILTER, NEW_LISTENER, NO_NEW_PRIVILEGES = 317, 1, 8, 38

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install_filter() -> int:
    """From here on this process and its children ask before each change; returns the descriptor that is asked."""
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, X86_64),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, 0),
    ]
    for number in (*BY_DESCRIPTOR.values(), *BY_PATH.values(), SENDTO):
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, NOTIFY)]
    for number, argument, test, value in (
        (OPEN, 1, ANY_OF, WRITING),
        (OPENAT, 2, ANY_OF, WRITING),
        (IOCTL, 1, EQUAL, FICLONE),
    ):
        code += [(EQUAL, 0, 4, number), (LOAD, 0, 0, 16 + 8 * argument), (test, 0, 1, value), (RETURN, 0, 0, NOTIFY)]
        code += [(RETURN, 0, 0, ALLOW)]
    code += [(RETURN, 0, 0, ALLOW)]
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    program = Program(len(code), packed)
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(SYS_SECCOMP, SET_FILTER, NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def command(request: dict[str, Any], channel: socket.socket) -> int:
    """In the forked child: the command, as a process of its own would run it."""
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    # An hour later, so that it makes no difference whether the source was written seconds ago.
    now = time.time_ns
    time.time_ns = lambda: now() + 3_600_000_000_000
    # What is broken stays broken: waiting between tries would be in vain.
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(float(seconds), 0.01))
    from hf_pack.cli.main import main

    socket.send_fds(channel, [b"x"], [install_filter()])
    channel.recv(1)
    code = main(request["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end
    atexit._run_exitfuncs()
    return code


class Watch:
    """Answers what the kernel asks."""

    def __init__(self, request: dict[str, Any], pid: int) -> None:
        self.count = 0
        self.at = ""
        self.request, self.pid = request, pid

    def is_change(self, tid: int, number: int, arguments: tuple[int, ...]) -> bool:
        """Whether the call changes files: not a terminal, a pipe, a device, nor the files that this process reads."""
        if number in DESCRIPTORS:
            place = str(Path(f"/proc/{tid}/fd/{arguments[0]}").readlink())
            return place.startswith("/") and place not in (self.request["out"], self.request["err"])
        if number in (OPEN, OPENAT):
            with Path(f"/proc/{tid}/mem").open("rb", 0) as memory:
                memory.seek(arguments[number == OPENAT])
                return not memory.read(5).startswith((b"/dev/", b"/proc"))
        return True

    def answer(self, tid: int, number: int, arguments: tuple[int, ...]) -> int | None:
        """The error number that the call ends with, 0 to let it go on; None when the command was killed."""
        with contextlib.suppress(OSError):
            if not self.is_change(tid, number, arguments):
                return 0
        self.count += 1
        nth, code, name = self.request["nth"], self.request["error"], NAMES[number]
        if self.count == nth:
            self.at = name
        if code == 0:
            if self.count != nth:
                return 0
            os.killpg(self.pid, signal.SIGKILL)
            return None
        hit = self.count == nth if self.request["once"] else 0 < nth <= self.count
        return code if hit and name in self.request["calls"] else 0

    def run(self, listener: int) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while True:
            for _, event in poll.poll():
                if not event & select.POLLIN:
                    return
            buffer = bytearray(NOTIFICATION.size)
            try:
                fcntl.ioctl(listener, RECEIVE, buffer)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            identity, tid, _, number, _, _, *arguments = NOTIFICATION.unpack(buffer)
            code = self.answer(tid, number, tuple(arguments))
            if code is not None:
                with contextlib.suppress(FileNotFoundError):
                    reply = bytearray(ANSWER.pack(identity, 0, -code, 0 if code else CONTINUE))
                    fcntl.ioctl(listener, SEND, reply)


def run(request: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        ours.close()
        code = 70
        try:
            code = command(request, theirs)
        except BaseException:  # noqa: BLE001 - the fork must not return into the loop below
            traceback.print_exc()
        finally:
            os._exit(code)
    theirs.close()
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        watch = Watch(request, pid)
        if descriptors:
            ours.sendall(b"x")
            watch.run(descriptors[0])
            os.close(descriptors[0])
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status), "count": watch.count, "at": watch.at}


def preload() -> None:
    """What commands import, once and for all of them."""
    import botocore.session  # noqa: F401

    import hf_pack

    adapters = ("adapters.embedded", "adapters.local", "adapters.object_storage", "adapters.oci")
    for package in ("steps", "disk", *adapters, "cli.commands"):
        for module in pkgutil.iter_modules([str(Path(hf_pack.__path__[0], *package.split(".")))]):
            with contextlib.suppress(ImportError):
                importlib.import_module(f"hf_pack.{package}.{module.name}")


if __name__ == "__main__":
    preload()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
