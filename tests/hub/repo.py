"""A model repository as the Hub shows it: commits, branches, tags, pull requests and who may read it."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from tests.hub import git_ids
from tests.hub.content import BytesContent, DeclaredFile, DiskFile, Source, content_of

Gate = Literal[False, "auto", "manual"]

_ENDINGS = "7z arrow bin bz2 ckpt ftz gguf gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle"
_MORE_ENDINGS = "pkl pt pth rar safetensors tar.* tar tflite tgz wasm xz zip zst"
LFS_PATTERNS = (*(f"*.{ending}" for ending in f"{_ENDINGS} {_MORE_ENDINGS}".split()), "*tfevents*")
"""The lines of the ``.gitattributes`` that the Hub puts into a new model repository (and ``*.gguf``)."""

LFS_SIZE = 10 << 20
"""The Hub refuses a larger file, in bytes, that is not stored by LFS."""

GITATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS).encode()
"""That file."""

_FIRST_COMMIT = 1_700_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One version of one file. ``oid`` is git's id (of the pointer text when the file is an LFS one)."""

    path: str
    content: BytesContent | DiskFile | DeclaredFile
    sha256: str
    oid: str
    pointer_size: int | None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.content.size

    @property
    def lfs(self) -> bool:
        """Whether the Hub serves it from elsewhere, by its sha256."""
        return self.pointer_size is not None

    @property
    def etag(self) -> str:
        """What the Hub calls its etag, without quotes."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A state of the repository. ``directories`` maps a path (the root is ``""``) to its git tree id."""

    id: str
    parent: str | None
    seconds: int
    message: str
    files: Mapping[str, File]
    directories: Mapping[str, str]


def file_of(path: str, source: Source) -> File:
    """A file as the Hub would take it in: LFS by its name or size. Reads a file on disk once, to hash it."""
    content = content_of(source)
    base = path.rpartition("/")[2]
    sha256 = content.sha256
    if content.size > LFS_SIZE or any(fnmatch.fnmatchcase(base, pattern) for pattern in LFS_PATTERNS):
        pointer = git_ids.lfs_pointer(sha256, content.size)
        return File(path=path, content=content, sha256=sha256, oid=git_ids.blob_id(pointer), pointer_size=len(pointer))
    oid = git_ids.blob_id(content.read(0, content.size))
    return File(path=path, content=content, sha256=sha256, oid=oid, pointer_size=None)


@dataclass(kw_only=True, slots=True)
class Repo:
    """A repository; its attributes may be set at any time, its commits are made by ``commit``.

    ``readers`` are the users who may read a private repository and the files of a gated one. ``card`` is the front
    matter of README.md, ``security`` the scan status by file path (``safe`` where it says nothing).
    """

    repo_id: str
    private: bool = False
    gated: Gate = False
    disabled: bool = False
    readers: frozenset[str] = frozenset()
    card: Mapping[str, object] = field(default_factory=dict)
    security: Mapping[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def main(self) -> str:
        """The commit that ``main`` is at."""
        return self.branches["main"]

    def commit(
        self, files: Mapping[str, Source], *, delete: Iterable[str] = (), branch: str = "main", message: str = "commit"
    ) -> str:
        """Adds or replaces ``files`` on a branch (a new one starts at ``main``); gives the commit's id."""
        with self._lock:
            self.branches[branch] = self._commit(files, delete, self.branches.get(branch, self._start()), message)
            return self.branches[branch]

    def pull_request(self, files: Mapping[str, Source], *, message: str = "pull request") -> str:
        """Adds or replaces ``files`` on top of ``main`` in the next pull request; gives its ref, ``refs/pr/n``."""
        with self._lock:
            ref = f"refs/pr/{len(self.pull_requests) + 1}"
            self.pull_requests[ref] = self._commit(files, (), self._start(), message)
            return ref

    def tag(self, name: str, revision: str = "main") -> None:
        """Names a commit for ever; KeyError when there is no such revision."""
        self.tags[name] = self.at(revision).id

    def at(self, revision: str) -> Commit:
        """The commit of a branch, tag, ``refs/…`` name, ``HEAD``, full or short (7 digits or more) commit id.

        Raises KeyError when there is none, or more than one for a short id.
        """
        with self._lock:
            names = {"HEAD": self.branches["main"], **self.pull_requests}
            names |= {f"refs/heads/{name}": commit for name, commit in self.branches.items()}
            names |= {f"refs/tags/{name}": commit for name, commit in self.tags.items()}
            names |= self.tags | self.branches
            found = [names[revision]] if revision in names else []
            if not found and re.fullmatch("[0-9a-f]{7,40}", revision):
                found = [commit for commit in self.commits if commit.startswith(revision)]
            if len(found) != 1:
                raise KeyError(revision)
            return self.commits[found[0]]

    def file(self, path: str, revision: str = "main") -> File:
        """One file at a revision; KeyError when either is missing."""
        return self.at(revision).files[path]

    def _start(self) -> str | None:
        return self.branches.get("main")

    def _commit(self, files: Mapping[str, Source], delete: Iterable[str], parent: str | None, message: str) -> str:
        state = dict(self.commits[parent].files) if parent else {}
        for path in delete:
            del state[path]
        state |= {path: file_of(path, source) for path, source in files.items()}
        directories = directory_ids(state)
        seconds = _FIRST_COMMIT + len(self.commits)
        parents = (parent,) if parent else ()
        commit_id = git_ids.commit_id(tree=directories[""], parents=parents, seconds=seconds, message=message)
        self.commits[commit_id] = Commit(
            id=commit_id,
            parent=parent,
            seconds=seconds,
            message=message,
            files=MappingProxyType(state),
            directories=MappingProxyType(directories),
        )
        return commit_id


def directory_ids(files: Mapping[str, File]) -> dict[str, str]:
    """The git tree id of every directory; the root's key is the empty string."""
    entries: dict[str, list[git_ids.TreeEntry]] = {"": []}
    for path, file in files.items():
        folder, _, name = path.rpartition("/")
        entries.setdefault(folder, []).append(git_ids.TreeEntry(name=name, oid=file.oid, directory=False))
        while folder:
            folder = folder.rpartition("/")[0]
            entries.setdefault(folder, [])
    ids: dict[str, str] = {}
    for folder in sorted(entries, key=lambda folder: folder.count("/") if folder else -1, reverse=True):
        ids[folder] = git_ids.tree_id(entries[folder])
        if folder:
            above, _, name = folder.rpartition("/")
            entries[above].append(git_ids.TreeEntry(name=name, oid=ids[folder], directory=True))
    return ids
