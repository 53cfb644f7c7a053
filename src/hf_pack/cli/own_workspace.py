"""The workspace that `run` keeps for a source, so that a person needs none: one for each repo id, revision or path."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.errors import UsageError
from hf_pack.user_path import user_path

if TYPE_CHECKING:
    from hf_pack.ports import Progress


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A source as `add` takes it, and what is wanted of it. ``update`` asks the Hub (or looks at the path) again."""

    source: str
    revision: str | None
    file: str | None
    allow_pickle: bool
    allow: tuple[str, ...]
    update: bool
    offline: bool


def build(wanted: Wanted, directory: Path, store: str | None, progress: Progress) -> str:
    """Add, lock and build the source's package in its workspace below ``directory``; its store path.

    What is locked is not looked up again, and what is built is not read again: a second time is quick.
    """
    from hf_pack import api, wiring
    from hf_pack.cli.commands.add import say_added
    from hf_pack.model.workspace_template import FILE_NAME
    from hf_pack.runtimes.known_issues import TITLE

    is_path = wanted.source.startswith(("/", "~", ".")) or os.path.lexists(wanted.source)
    source = str(user_path(wanted.source).absolute()) if is_path else wanted.source
    place = directory / folder(source, wanted.revision, wanted.file, is_path=is_path)
    try:
        api.init(place)
    except UsageError as error:
        if not (place / FILE_NAME).exists():  # else it is there, from an earlier time
            raise UsageError(error.message, hint="set XDG_STATE_HOME to a directory that you may write") from None
    workspace = wiring.open_workspace(place)
    if not workspace.names():
        progress.note(f"packaging {wanted.source}, once: the next time it is there")
        added = api.add(
            source,
            workspace=place,
            store=store,
            revision=wanted.revision,
            file=wanted.file,
            allow_pickle=wanted.allow_pickle,
            allow=wanted.allow,
            progress=progress,
        )
        say_added(added, without=TITLE)  # of any version; those of the one that is here are said before it starts
    name = workspace.names()[0]
    if wanted.update or (is_path and api.stale(name, workspace=place, store=store, progress=progress)):
        api.lock(name, workspace=place, store=store, progress=progress)
    built = api.build(name, workspace=place, store=store, offline=wanted.offline, progress=progress)
    progress.note(f"package {built.info.store_path}")
    return str(built.info.store_path)


def folder(source: str, revision: str | None, file: str | None, *, is_path: bool) -> str:
    """A directory name that tells people what it is, and no two sources share."""
    key = "\0".join((source, revision or "", file or ""))
    words = re.sub(r"[^A-Za-z0-9._-]+", "--", Path(source).name if is_path else source).strip(".-")
    return f"{words[:100]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
