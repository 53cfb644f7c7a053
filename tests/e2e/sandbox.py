"""Where runtimes run: without a network, as a user that owns nothing, as far as this machine lets a test do that."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.end_to_end import NOBODY

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
#: Brings the loopback interface up (SIOCSIFFLAGS, IFF_UP) and keeps the network until its stdin is closed.
_HOLD = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
print("up", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Sandbox:
    """``holder`` is a process in a network with the loopback interface alone; None in the network of the machine."""

    holder: int | None

    def command(self, arguments: Sequence[str | Path]) -> list[str]:
        """The command line as another user, in this network."""
        enter = [] if self.holder is None else ["nsenter", f"--net=/proc/{self.holder}/ns/net", "--"]
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"] if _is_root() else []
        return [*enter, *user, *map(str, arguments)]

    def inside(self, call: Callable[[], T]) -> T:
        """What ``call`` gives when its sockets are those of this network; raises what it raises."""
        if self.holder is None:
            return call()

        def enter() -> T:
            with Path(f"/proc/{self.holder}/ns/net").open("rb") as network:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            return call()

        with ThreadPoolExecutor(1) as thread:  # a network belongs to a thread
            return thread.submit(enter).result()

    def attempts(self) -> int:
        """How often something wanted to send to an address outside this network; there is no route to any."""
        if self.holder is None:
            return 0
        names, values = re.findall(r"^Ip: (.*)$", Path(f"/proc/{self.holder}/net/snmp").read_text(), re.MULTILINE)
        return int(dict(zip(names.split(), values.split(), strict=True))["OutNoRoutes"])


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """One with a network of its own for root, where a container does not forbid it."""
    if not _is_root() or any(shutil.which(program) is None for program in ("unshare", "nsenter")):
        yield Sandbox(None)
        return
    hold = ["unshare", "--net", "--", sys.executable, "-c", _HOLD]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        is_up = holder.stdout.readline() == b"up\n"
        yield Sandbox(holder.pid if is_up else None)
        holder.stdin.close()


def _is_root() -> bool:
    return os.geteuid() == 0
