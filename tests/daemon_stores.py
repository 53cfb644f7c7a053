"""Nix's own store for tests: a chroot store that ``nix-daemon --stdio`` opens, so the machine's is not touched."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_pack.adapters.nix_daemon.store import NixDaemonStore

NIX_CONFIG = "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\nsubstituters =\n"


def chroot_environment(root: Path) -> dict[str, str]:
    """The environment in which Nix uses the store below ``root``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NIX_")}
    return {**environ, "NIX_CONFIG": NIX_CONFIG, "NIX_REMOTE": f"local?root={root}"}


def chroot_store(root: Path) -> NixDaemonStore:
    """The store below ``root``; the user's state lies beside it."""
    return NixDaemonStore(root.with_name(f"{root.name}-state"), chroot_environment(root))


@contextmanager
def socket_daemon(directory: Path) -> Iterator[dict[str, str]]:
    """A daemon that serves the store below ``directory/root`` on a socket of its own, and trusts root alone.

    Gives the environment of a client. Whoever may reach the directory may connect.
    """
    root, place, configuration = directory / "root", directory / "socket", directory / "conf"
    configuration.mkdir()
    (configuration / "nix.conf").write_text(f"{NIX_CONFIG}allowed-users = *\ntrusted-users = root\n")
    environ = {**chroot_environment(root), "NIX_CONF_DIR": str(configuration), "NIX_CONFIG": ""}
    errors, told = os.pipe()
    daemon = subprocess.Popen(
        ["nix-daemon"],
        env={**environ, "NIX_DAEMON_SOCKET_PATH": str(place)},
        stderr=subprocess.DEVNULL,
        pass_fds=[told],
    )
    os.close(told)
    try:
        while not _listens(place):
            if daemon.poll() is not None:
                raise AssertionError("the daemon ended")
        yield {**environ, "NIX_REMOTE": f"unix://{place}?root={root}"}
    finally:
        daemon.terminate()
        daemon.wait()
        os.read(errors, 1)  # the end: its children, which have the other end as well, are gone
        os.close(errors)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def run_as(uid: int, work: Callable[[], None]) -> int:
    """Run ``work`` in a process of another user that has no other rights; its exit code."""

    def child() -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        work()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
