"""A workspace on disk: the directory with ``hf-pack.toml`` (DESIGN.md, section 4)."""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from hf_pack import durable
from hf_pack.errors import UsageError
from hf_pack.model import relative_path
from hf_pack.model.workspace_template import FILE_NAME, NEW_TEXT

MODELS = "models"
BUILD_META = "build-meta"

_IGNORED_BY_GIT = (b"/result", b"result-*", b"*" + durable.SUFFIX.encode())
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IN_KEPT_FILES = re.compile(rf"{MODELS}/([^/]+)\.files/.+")


class WorkspaceOnDisk:
    """:class:`hf_pack.ports.Workspace` on a file system. What goes wrong there is a UsageError with the path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def find(cls, start: Path) -> Self:
        """The workspace that ``start`` lies in: the nearest directory upwards with ``hf-pack.toml``.

        Raises UsageError when there is none.
        """
        start = start.resolve()
        for directory in (start, *start.parents):
            if (directory / FILE_NAME).is_file():
                return cls(directory)
        raise UsageError(f"no workspace here\n  {start}: no {FILE_NAME} in it or above it", hint="hf-pack init")

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make ``path`` (which may exist) a workspace. Raises UsageError when it is one already."""
        root = path.resolve()
        if os.path.lexists(root / FILE_NAME):
            raise UsageError(f"{root} is a workspace already", hint="hf-pack add SOURCE")
        with _as_usage_error(root):
            for directory in (root / MODELS, root / BUILD_META):
                directory.mkdir(parents=True, exist_ok=True)
            _ignore_by_git(root / ".gitignore")
            # Last, so that a killed `init` can run again.
            durable.replace_file(root / FILE_NAME, NEW_TEXT.encode())
        return cls(root)

    @property
    def root(self) -> Path:
        """The directory that holds ``hf-pack.toml``, absolute, without links."""
        return self._root

    def names(self) -> tuple[str, ...]:
        """The stems of all manifests, sorted."""
        directory = self._root / MODELS
        with _as_usage_error(directory):
            entries = os.scandir(directory) if directory.is_dir() else ()
            found = [
                entry.name.removesuffix(".toml")
                for entry in entries
                if entry.name.endswith(".toml") and not entry.name.startswith(".") and entry.is_file()
            ]
        return tuple(sorted(found))

    def read(self, relative: str) -> bytes | None:
        """A file's bytes, None when it is not there. Raises UsageError for a path out of the workspace."""
        path = self._path(relative)
        kept = _IN_KEPT_FILES.fullmatch(relative)
        with _as_usage_error(path):
            if kept is not None and not path.exists():
                durable.mend_directory(self._kept_directory(kept[1]))
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_at(self, revision: str, relative: str) -> bytes | None:
        """A file's bytes at a git revision; None without git, or when that revision has no such file."""
        self._path(relative)
        return None if revision.startswith("-") else self._git("show", f"{revision}:./{relative}")

    def exists(self, relative: str) -> bool:
        """Whether a file is there."""
        return self._path(relative).is_file()

    def write(self, relative: str, contents: bytes) -> None:
        """Replace a file; its directory is made when missing."""
        path = self._path(relative)
        with _as_usage_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.replace_file(path, contents)

    def kept_files(self, name: str) -> tuple[str, ...]:
        """The relative paths below ``models/<name>.files/``, sorted."""
        directory = self._kept_directory(name)
        with _as_usage_error(directory):
            durable.mend_directory(directory)
            return tuple(sorted(path.relative_to(directory).as_posix() for path in _walk(directory)))

    def replace_kept_files(self, name: str, contents: Sequence[tuple[str, bytes]]) -> None:
        """Make ``models/<name>.files/`` hold exactly these files; nothing is written when it does already."""
        directory = self._kept_directory(name)
        for relative, _ in contents:
            self._path(f"{MODELS}/{name}.files/{relative}")
        there = tuple((path, self.read(f"{MODELS}/{name}.files/{path}")) for path in self.kept_files(name))
        if there == tuple(sorted(contents)):
            return
        with _as_usage_error(directory):
            directory.parent.mkdir(parents=True, exist_ok=True)
            durable.replace_directory(directory, contents)

    def require_writable(self) -> None:
        """Raises UsageError when this user cannot write the workspace."""
        for directory in (self._root, self._root / MODELS):
            if directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK):
                raise UsageError(
                    f"the workspace cannot be written\n  {directory}: not this user's to write",
                    hint=f"ls -ld {directory}; or work in a copy of the workspace",
                )

    def result_target(self, name: str) -> Path | None:
        """Where ``result-<name>`` points to; None when there is no such link."""
        link = self._path(f"result-{name}")
        return link.readlink() if link.is_symlink() else None

    def link_result(self, name: str, target: Path) -> Path:
        """Point ``result-<name>`` to ``target``; returns the link's own path."""
        link = self._path(f"result-{name}")
        with _as_usage_error(link):
            durable.replace_symlink(link, target)
        return link

    def git_head(self) -> str | None:
        """The commit of HEAD in the repository that holds the workspace; None without git or a first commit."""
        commit = (self._git("rev-parse", "--verify", "--quiet", "HEAD") or b"").decode(errors="replace").strip()
        return commit if _COMMIT.fullmatch(commit) else None

    def _git(self, *arguments: str) -> bytes | None:
        """What git prints, run in the workspace; None when it fails or is not installed."""
        import subprocess

        try:
            done = subprocess.run(
                ["git", "-C", str(self._root), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None

    def _path(self, relative: str) -> Path:
        problem = relative_path.problem_of(relative)
        if problem is not None:
            raise UsageError(f"not a path in the workspace\n  {relative!r}: {problem}")
        return self._root / relative

    def _kept_directory(self, name: str) -> Path:
        return self._path(f"{MODELS}/{name}.files")


def _walk(directory: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(directory, onerror=_raise_unless_missing):
        for name in names:
            yield Path(parent, name)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _ignore_by_git(path: Path) -> None:
    contents = path.read_bytes() if path.exists() else b""
    missing = [line for line in _IGNORED_BY_GIT if line not in contents.splitlines()]
    if missing:
        end = b"" if not contents or contents.endswith(b"\n") else b"\n"
        durable.replace_file(path, contents + end + b"".join(line + b"\n" for line in missing))


@contextmanager
def _as_usage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = path if error.filename2 else Path(error.filename or path)  # of a link, not what it leads to
        place = path if place.name.endswith(durable.SUFFIX) else place  # what a file is written aside as is gone
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        looked_at = shlex.quote(str(place if place != path else path.parent))
        raise UsageError(
            f"the workspace cannot be used\n  {place}: {error.strerror or error}",
            hint="free some space and run it again"
            if is_full
            else f"ls -ld {looked_at}; the workspace must be this user's to write",
        ) from None
