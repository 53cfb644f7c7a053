"""Reads the facts that ``flox publish`` asks about, without flox."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hf_pack.errors import UsageError
from hf_pack.model.flox_repository import FloxRepository


def read_repository(directory: Path) -> FloxRepository:
    """The facts of the repository at ``directory``. Raises UsageError when a file of it cannot be read."""
    try:
        packages = directory / ".flox/pkgs"
        files = tuple(sorted(path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()))
        env_json, manifest = (_read(directory / ".flox" / name) for name in ("env.json", "env/manifest.toml"))
    except OSError as error:
        raise UsageError(f"the repository cannot be read\n  {error.filename}: {error.strerror}") from None
    lockfile = (directory / ".flox/env/manifest.lock").is_file()
    status = _git(directory, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", ".")
    if status is None:
        return FloxRepository(in_git=False, packages=files, env_json=env_json, manifest=manifest, lockfile=lockfile)
    prefix = (_git(directory, "rev-parse", "--show-prefix") or "").strip()
    rows = [(row[:2], row[3:].removeprefix(prefix)) for row in status.split("\0") if row]
    return FloxRepository(
        in_git=True,
        head=_line(directory, "rev-parse", "--verify", "--quiet", "HEAD"),
        branch=_line(directory, "symbolic-ref", "--short", "--quiet", "HEAD"),
        upstream=_line(directory, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"),
        holding_head=tuple(
            (_git(directory, "branch", "--remotes", "--contains", "HEAD", "--format=%(refname:short)") or "").split()
        ),
        tracked=frozenset((_git(directory, "ls-files", "-z") or "").split("\0")[:-1]),
        untracked=tuple(path for kind, path in rows if kind == "??"),
        changed=tuple(path for kind, path in rows if kind != "??"),
        packages=files,
        env_json=env_json,
        manifest=manifest,
        lockfile=lockfile,
    )


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _line(directory: Path, *arguments: str) -> str | None:
    return (_git(directory, *arguments) or "").strip() or None


def _git(directory: Path, *arguments: str) -> str | None:
    """What git prints; None when it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return None
    return done.stdout.decode(errors="surrogateescape") if done.returncode == 0 else None
