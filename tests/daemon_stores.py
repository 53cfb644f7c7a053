"""Nix's own store for tests: a chroot store that ``nix-daemon --stdio`` opens, so the machine's is not touched."""

from __future__ import annotations

import os
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
