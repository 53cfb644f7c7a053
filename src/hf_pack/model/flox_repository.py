"""What a flox repository looks like to ``flox publish``: facts of its files and its git, no judgement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FloxRepository:
    """Paths are relative to the repository's directory, ``/`` between parts. ``head`` is None before a first commit."""

    in_git: bool
    head: str | None = None
    branch: str | None = None  #: None: HEAD is detached
    upstream: str | None = None  #: ``origin/main``
    holding_head: tuple[str, ...] = ()  #: remote branches that have HEAD, as this clone knows them
    tracked: frozenset[str] = frozenset()
    untracked: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  #: tracked files that differ from HEAD
    packages: tuple[str, ...] = ()  #: what lies below ``.flox/pkgs``, relative to it
    env_json: bytes | None = None
    manifest: bytes | None = None
    lockfile: bool = False
