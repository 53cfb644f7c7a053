"""The Hub's list of files, believed only as far as it agrees with itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.model.file_names import colliding, is_bookkeeping, path_problem, shown
from hf_pack.model.source_problems import SourceProblem, source_error
from hf_pack.ports import SourceFile

_GIT_ID = re.compile(r"[0-9a-f]{40}")
_MEND = "ask the Hub again with `hf-pack lock`; if it says the same, the mirror (HF_ENDPOINT) is broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFile:
    """What the Hub says of a file, unchecked. Sizes in bytes; ``lfs_*`` are None for a file that git itself holds."""

    path: str
    size: int | None
    git_blob_id: str | None
    lfs_sha256: str | None = None
    lfs_size: int | None = None
    lfs_pointer_size: int | None = None


def checked_files(place: str, stated: Iterable[StatedFile]) -> tuple[SourceFile, ...]:
    """The files, sorted, without bookkeeping. Raises SourceError with everything that is wrong with the list."""
    files: list[SourceFile] = []
    problems: list[SourceProblem] = []
    for file in stated:
        if is_bookkeeping(file.path):
            continue
        problem = path_problem(file.path)
        hint = "leave it out of the repository"
        if problem is None:
            problem, hint = _contradiction(file), _MEND
        if problem is None:
            files.append(_source_file(file))
        else:
            problems.append(SourceProblem(path=shown(file.path), problem=problem, hint=hint))
    files.sort(key=lambda file: file.path)
    for earlier, later in pairwise(files):
        if earlier.path == later.path:
            problems.append(SourceProblem(path=shown(later.path), problem="is listed twice", hint=_MEND))
    for group in colliding({file.path for file in files}):
        others = ", ".join(shown(path) for path in group[1:])
        problems.append(
            SourceProblem(
                path=shown(group[0]),
                problem=f"expected names that differ in more than case, found {others}",
                hint="rename one of them in the repository",
            )
        )
    if problems:
        raise source_error(place, problems)
    return tuple(files)


def pointer_text(sha256: str, size: int) -> bytes:
    """The canonical Git LFS pointer (Git LFS specification, "The Pointer"); ``sha256`` in 64 hex digits."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_blob_id(data: bytes) -> str:
    """What git calls these bytes: sha1 over ``blob <length> NUL <bytes>``, 40 hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _contradiction(file: StatedFile) -> str | None:
    if file.git_blob_id is None or not _GIT_ID.fullmatch(file.git_blob_id):
        return "expected a git blob id of 40 hex digits, found none"
    if file.size is None or file.size < 0:
        return "expected a size in bytes, found none"
    if file.lfs_sha256 is None:
        return None
    try:
        Hash.from_hex(file.lfs_sha256)
    except FormatError:
        return "expected an LFS oid of 64 hex digits, found something else"
    if file.lfs_size != file.size:
        return f"expected one size, found {file.size} and, by LFS, {file.lfs_size} bytes"
    # The git blob of a large file is its pointer, so the id proves oid and size, unless the pointer is written
    # in another way than git-lfs does.
    pointer = pointer_text(file.lfs_sha256, file.size)
    if file.lfs_pointer_size in (None, len(pointer)) and git_blob_id(pointer) != file.git_blob_id:
        return "expected the LFS oid that the git blob id stands for, found another"
    return None


def _source_file(file: StatedFile) -> SourceFile:
    assert file.size is not None
    return SourceFile(
        path=file.path,
        size=file.size,
        sha256=None if file.lfs_sha256 is None else Hash.from_hex(file.lfs_sha256),
        git_blob_id=file.git_blob_id,
    )
