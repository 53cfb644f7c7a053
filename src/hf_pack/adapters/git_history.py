"""The commits that touched files of a workspace."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from hf_pack.model.history import Revision


def revisions(directory: Path, paths: Sequence[str]) -> tuple[Revision, ...]:
    """Oldest first; none without git, or where git knows none of the paths (relative to ``directory``)."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), "log", "--reverse", "--format=%H%x00%cI%x00%s", "--", *paths],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError:
        return ()
    rows = (line.split("\0", 2) for line in done.stdout.decode(errors="replace").splitlines())
    return tuple(Revision(commit=commit, date=date, subject=subject) for commit, date, subject in rows)
