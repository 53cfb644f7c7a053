"""The history of a package: its versions, each with what it changed."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.formats.store_path import StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit of the workspace's repository; ``date`` is ISO 8601 with its offset."""

    commit: str
    date: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of a package with one content.

    ``revision`` is the commit that brought it, None while it is not committed. ``store_path`` and ``nar_size`` are None
    for a self-contained package that was never built. ``size`` is that of all packaged files, in bytes. The changes are
    those from the version before; the first one has none.
    """

    version: str
    build_version: int
    changelog: str
    revision: Revision | None
    store_path: StorePath | None
    nar_size: int | None
    size: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  #: of the manifest, dotted: ``vllm.max_model_len``
