"""What ``hf download --local-dir`` leaves: files, ``.cache/huggingface/download/<path>.metadata`` for each.

A metadata file has three lines: commit, etag, time (huggingface_hub, ``_local_folder``).
"""

from __future__ import annotations

import re
from pathlib import Path

from hf_pack.adapters.local.place import Place, kind_of_snapshot, text_of
from hf_pack.model.hub_ids import is_commit
from hf_pack.model.source_problems import SourceProblem

METADATA = Path(".cache/huggingface/download")

_INCOMPLETE = re.compile(r"(?:.+\.)?(?P<etag>[0-9a-f]{40}(?:[0-9a-f]{24})?)(?:\.[0-9a-f]{8})?\.incomplete")


def is_local_dir(directory: Path) -> bool:
    """Whether the Hub's client downloaded into this directory."""
    return next((directory / METADATA).rglob("*.metadata"), None) is not None


def open_local_dir(directory: Path) -> Place:
    """The directory, with the commit that all its files agree on; several are noted and none is claimed."""
    place = directory / METADATA
    commits: dict[str, str] = {}  # to one file that has it
    edited: set[str] = set()
    etags: dict[str, str] = {}
    for metadata in sorted(place.rglob("*.metadata")):
        path = metadata.relative_to(place).as_posix().removesuffix(".metadata")
        commit, etag, time, *_ = [*(text_of(metadata) or "").splitlines(), "", "", ""]
        if is_commit(commit) and (directory / path).is_file():
            commits.setdefault(commit, path)
        etags[path] = etag.strip('"')
        if _is_newer(directory / path, time):
            edited.add(path)
    mend = f"hf download <repo id> --local-dir {directory}"
    parts = ((part, _INCOMPLETE.fullmatch(part.name)) for part in sorted(place.rglob("*.incomplete")))
    problems = tuple(
        SourceProblem(
            path=part.relative_to(directory).as_posix(),
            problem="expected a finished download, found a part of one",
            hint=f"{mend}  (or delete the part, if the model is complete)",
        )
        for part, match in parts
        if match is None or match["etag"] not in etags.values()
    )
    agreed = next(iter(commits)) if len(commits) == 1 else None
    notes: tuple[str, ...] = ()
    if len(commits) > 1:
        named = " and ".join(f"{commit} ({path})" for commit, path in sorted(commits.items()))
        notes = (f"the files were downloaded from {len(commits)} commits, {named}: no commit is claimed",)
    return Place(
        kind="local-dir",
        directory=directory,
        boundary=directory,
        mend=mend,
        snapshot_id=agreed,
        snapshot_kind=kind_of_snapshot(directory, agreed) if agreed else None,
        notes=notes,
        problems=problems,
        etags={path: etag for path, etag in etags.items() if path not in edited},
    )


def _is_newer(file: Path, time: str) -> bool:
    """Whether the file was written after its download, by the client's own rule (a second of grace)."""
    try:
        return file.stat().st_mtime > float(time) + 1
    except (OSError, ValueError):
        return True
