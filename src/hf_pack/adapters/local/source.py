"""A model on disk as a :class:`hf_pack.ports.Source`."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from hf_pack.adapters.local.git_clone import is_git_clone, open_git_clone
from hf_pack.adapters.local.hf_cache import is_repo, open_cache, open_repo, repos_in
from hf_pack.adapters.local.local_dir import is_local_dir, open_local_dir
from hf_pack.adapters.local.place import Place, unreadable
from hf_pack.adapters.local.walk import Walked, walk
from hf_pack.errors import SourceError
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import FOLDER_PREFIX
from hf_pack.model.source_problems import SourceProblem, source_error
from hf_pack.ports import SourceFile, SourceListing

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class LocalSource:
    """A listing that was checked, and its files' bytes."""

    listing: SourceListing

    @cached_property
    def _places(self) -> dict[str, Path]:
        return {file.path: file.real_path for file in self.listing.files if file.real_path is not None}

    def prepare(self, reads: Sequence[tuple[str, int | None]]) -> None:
        """Nothing: reads of a disk need no announcement."""

    def read(self, path: str, *, size: int | None = None) -> bytes:
        """The first ``size`` bytes of a file, or all of them. Raises SourceError."""
        with self.open(path) as stream:
            try:
                return stream.read(-1 if size is None else size)
            except OSError as error:
                raise unreadable(self._places[path], error) from None

    def open(self, path: str) -> BinaryIO:
        """The file. Raises SourceError."""
        place = self._places.get(path)
        if place is None:
            raise SourceError(f"{self.listing.place}/{path}: no such file in the source")
        try:
            return place.open("rb")
        except OSError as error:
            raise unreadable(place, error) from None


def open_source(path: Path, *, snapshot_id: str | None = None) -> LocalSource:
    """Recognise what lies at ``path`` and list its files.

    A Hub cache's repository, snapshot or root, a ``--local-dir`` download, a git clone, a plain directory or
    one GGUF file. ``snapshot_id`` chooses among a repository's snapshots and means nothing elsewhere. Raises
    SourceError for what is incomplete as a whole; single traps (:mod:`hf_pack.adapters.local.walk`) are the listing's.
    """
    status = _status(path)
    if not stat.S_ISDIR(status.st_mode):
        return _open_file(path, status)
    place = _recognise(path.absolute(), snapshot_id)
    walked = walk(place.directory, boundary=place.boundary, mend=place.mend)
    _check(place, walked)
    return _source(place, walked.files, walked.problems)


def _source(place: Place, files: Sequence[SourceFile], problems: tuple[SourceProblem, ...] = ()) -> LocalSource:
    return LocalSource(
        SourceListing(
            place=str(place.directory),
            kind=place.kind,
            repo_id=place.repo_id,
            snapshot_id=place.snapshot_id,
            snapshot_kind=place.snapshot_kind,
            files=tuple(_with_etag(file, place) for file in files),
            notes=place.notes,
            problems=problems,
        )
    )


def _with_etag(file: SourceFile, place: Place) -> SourceFile:
    """The file with what the Hub's client noted of it: the etag is a claim, the client does not prove it."""
    etag = place.etags.get(file.path, "")
    link = place.directory / file.path
    if place.kind in ("hf-cache", "snapshot") and link.is_symlink():
        etag = link.readlink().name  # blobs/<etag>, which may be a link into the shared store
    if _SHA256.fullmatch(etag):
        return replace(file, sha256=Hash.from_hex(etag))
    return replace(file, git_blob_id=etag) if _SHA1.fullmatch(etag) else file


def _recognise(path: Path, snapshot_id: str | None) -> Place:
    # A link may hide the directory's own name, or (in a farm of links) be the only one that has it.
    names = dict.fromkeys((path, path.resolve()))
    for directory in sorted(names, key=lambda name: not name.name.startswith(FOLDER_PREFIX)):
        if is_repo(directory):
            return open_repo(directory, snapshot_id)
        if directory.name == "snapshots" and is_repo(directory.parent):
            return open_repo(directory.parent, snapshot_id)
        if directory.parent.name == "snapshots" and is_repo(directory.parent.parent):
            return _open_snapshot(directory, snapshot_id)
    repos = repos_in(path)
    if repos:
        return open_cache(path, repos, snapshot_id)
    if is_local_dir(path):
        return open_local_dir(path)
    if is_git_clone(path):
        return open_git_clone(path)
    return Place(kind="flat", directory=path, boundary=path, mend="copy the model again, with `cp -rL`")


def _open_snapshot(directory: Path, snapshot_id: str | None) -> Place:
    if snapshot_id not in (None, directory.name):
        raise SourceError(
            f"{directory}: expected snapshot {snapshot_id}, found {directory.name}",
            hint=f"give the repository's directory: {directory.parent.parent}",
        )
    return open_repo(directory.parent.parent, directory.name, kind="snapshot")


def _check(place: Place, walked: Walked) -> None:
    problems = (*place.problems, *walked.problems)
    if walked.files and not place.problems:
        return
    if not problems:
        problems = (
            SourceProblem(path=".", problem="expected a model's files, found an empty directory", hint=place.mend),
        )
    raise source_error(str(place.directory), problems)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise SourceError(f"{path}: a link to {path.readlink()}, which is not there") from None
        raise SourceError(
            f"{path}: no such file or directory",
            hint="name a directory that is there, or a model of the Hub: hf-pack add ORG/NAME",
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None


def _open_file(path: Path, status: os.stat_result) -> LocalSource:
    directory = path.absolute().parent
    if not stat.S_ISREG(status.st_mode) or path.suffix != ".gguf":
        raise SourceError(
            f"{path}: expected a model's directory or one .gguf file, found something else",
            hint=f"give its directory: {directory}",
        )
    place = Place(kind="flat", directory=directory, boundary=directory, mend="download the file again")
    return _source(place, (SourceFile(path=path.name, size=status.st_size, real_path=path.resolve()),))
