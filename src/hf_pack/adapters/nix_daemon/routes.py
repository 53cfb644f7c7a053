"""How the store of this machine is reached, decided as Nix does (``nix.conf``, ``store``; ``NIX_REMOTE``).

======================================  ==========================================================
``NIX_REMOTE``                          route
======================================  ==========================================================
empty, ``auto``                         ``nix-daemon --stdio`` when this user can write Nix's state, else the socket
``daemon``, ``unix://PATH``             the socket (``NIX_DAEMON_SOCKET_PATH``, else below ``NIX_STATE_DIR``)
``local``, a path, ``local?root=PATH``  ``nix-daemon --stdio``, which opens that store itself
======================================  ==========================================================
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote

from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.formats.store_path import STORE_DIR

_STATE_DIR = "/nix/var/nix"
_PROGRAM = "nix-daemon"
_PROFILE = "/nix/var/nix/profiles/default/bin"  # where it is for those whose PATH lacks it


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawn:
    """Start a program that speaks the protocol on its standard input and output."""

    program: str
    real_store_dir: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """Connect to a daemon that runs."""

    path: Path
    real_store_dir: Path


Route = Spawn | Socket


def find_route(environ: Mapping[str, str]) -> Route:
    """The route to the store that Nix would use. Raises DaemonGoneError when there can be none."""
    store_dir = environ.get("NIX_STORE_DIR") or environ.get("NIX_STORE") or STORE_DIR
    if store_dir.rstrip("/") != STORE_DIR:
        raise DaemonGoneError(
            f"only the store directory {STORE_DIR} is supported\n  NIX_STORE_DIR: found {store_dir}",
            hint="unset NIX_STORE_DIR, or choose a directory with --store",
        )
    remote = environ.get("NIX_REMOTE", "")
    state_dir = Path(environ.get("NIX_STATE_DIR") or _STATE_DIR)
    if remote in ("", "auto"):
        writable = os.access(state_dir, os.R_OK | os.W_OK)
        if not writable:
            return _socket(environ, state_dir)
        return _spawn(environ, Path(STORE_DIR))
    if remote == "daemon":
        return _socket(environ, state_dir)
    address, _, query = remote.partition("?")
    parameters = {name: values[-1] for name, values in parse_qs(query).items()}
    if address.startswith("unix://"):
        path = Path(unquote(address.removeprefix("unix://")))
        root = Path(parameters.get("root") or "/")
        return Socket(path=path, real_store_dir=Path(parameters.get("real") or root / STORE_DIR[1:]))
    if "://" in address and not address.startswith("local://"):
        raise DaemonGoneError(
            f"this store is not on this machine\n  NIX_REMOTE: {remote}",
            hint="build with --store PATH and copy with `nix copy`",
        )
    root = Path(parameters.get("root") or (address if "/" in address and "://" not in address else "/"))
    return _spawn(environ, Path(parameters.get("real") or root.absolute() / STORE_DIR[1:]))


def is_here(environ: Mapping[str, str]) -> bool:
    """Whether there is a Nix store that this user may write, itself or through a daemon. Starts nothing."""
    try:
        route = find_route(environ)
    except DaemonGoneError:
        return False
    if isinstance(route, Socket):
        return os.access(route.path, os.R_OK | os.W_OK)
    return route.real_store_dir.is_dir() and os.access(route.real_store_dir, os.W_OK)


def _socket(environ: Mapping[str, str], state_dir: Path) -> Socket:
    path = environ.get("NIX_DAEMON_SOCKET_PATH") or str(state_dir / "daemon-socket" / "socket")
    return Socket(path=Path(path), real_store_dir=Path(STORE_DIR))


def _spawn(environ: Mapping[str, str], real_store_dir: Path) -> Spawn:
    search = os.pathsep.join(part for part in (environ.get("PATH", os.defpath), _PROFILE) if part)
    program = shutil.which(_PROGRAM, path=search)
    if program is None:
        raise DaemonGoneError(
            f"there is no {_PROGRAM} here\n  looked in PATH and {_PROFILE}",
            hint="install Nix, or choose a directory with --store",
        )
    return Spawn(program=program, real_store_dir=real_store_dir, environment=dict(environ))
