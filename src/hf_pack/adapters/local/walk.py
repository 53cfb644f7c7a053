"""Walks a model's directory: every file with its real place, every trap that shows without reading a file."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from hf_pack.adapters.local.hf_cache import is_cache_blob
from hf_pack.model.file_names import colliding, is_bookkeeping, path_problem, shown
from hf_pack.model.source_problems import SourceProblem
from hf_pack.ports import SourceFile

_UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload")
_STORE_OBJECT = re.compile(r"/nix/store/[0-9a-df-np-sv-z]{32}-[^/]+(?:/|$)")
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """Files sorted by path, and everything that is wrong with them."""

    files: tuple[SourceFile, ...]
    problems: tuple[SourceProblem, ...]


def walk(root: Path, *, boundary: Path, mend: str) -> Walked:
    """Everything below ``root`` but bookkeeping; ``mend`` is the hint for what is missing or half there.

    Links are followed to files inside ``boundary``, to blobs of a Hub cache (which are named by their content) and
    to objects of a Nix store (which are immutable); any other link leaves the source and is a problem.
    """
    walker = _Walker(real_boundary=Path(os.path.realpath(boundary)), mend=mend)
    walker.directory(str(root), "", frozenset({os.path.realpath(root)}))
    files = tuple(sorted(walker.files, key=lambda file: file.path))
    for group in colliding(file.path for file in files):
        others = ", ".join(shown(path) for path in group[1:])
        walker.add(group[0], f"expected names that differ in more than case, found {others}", "rename one of them", ())
    return Walked(files=files, problems=tuple(walker.problems))


@dataclass(slots=True, kw_only=True)
class _Walker:
    real_boundary: Path
    mend: str
    files: list[SourceFile] = field(default_factory=list)
    problems: list[SourceProblem] = field(default_factory=list)

    def add(self, path: str, problem: str, hint: str, hides: tuple[str, ...]) -> None:
        self.problems.append(SourceProblem(path=shown(path), problem=problem, hint=hint, hides=hides))

    def directory(self, place: str, path: str, above: frozenset[str]) -> None:
        """``above`` are the real paths of this directory and those that led here."""
        try:
            with os.scandir(place) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            hides = _inside(path) if path else ()
            self.add(path or ".", f"cannot be read ({error.strerror})", f"chmod u+rx {shown(place)}", hides)
            return
        for name in names:
            inner = f"{path}/{name}" if path else name
            if not is_bookkeeping(inner):
                self.entry(f"{place}/{name}", inner, name, above)

    def entry(self, place: str, path: str, name: str, above: frozenset[str]) -> None:
        problem = path_problem(name)
        if problem is not None:
            hides = _inside(path) if Path(place).is_dir() else (path,)
            self.add(path, problem, "rename or delete the file", hides)
        elif name.endswith(_UNFINISHED):
            whole = path.rpartition(".")[0]
            self.add(path, "expected a finished download, found a part of one", self.mend, (whole,))
        elif (real := self.resolve(place, path)) is not None:
            self.resolved(*real, path, above)

    def resolve(self, place: str, path: str) -> tuple[str, os.stat_result] | None:
        try:
            real = os.path.realpath(place, strict=True)
            status = Path(real).stat()
        except OSError as error:
            # Nobody knows what is behind it; what looks like a file's name is taken for one.
            hides = (path,) if "." in path.rpartition("/")[2] else (path, *_inside(path))
            if error.errno == errno.ELOOP:
                self.add(path, "expected a link to a file, found a loop of links", "delete the link", hides)
            elif error.errno in (errno.ENOENT, errno.ENOTDIR):
                target = shown(os.path.realpath(place))
                self.add(path, f"expected a file behind the link, found nothing at {target}", self.mend, hides)
            else:
                self.add(path, f"cannot be read ({error.strerror})", f"chmod u+rX {shown(place)}", hides)
            return None
        # Only a link can lead out; a plain entry of a directory that was reached lies where it was reached.
        if Path(place).is_symlink() and not self.is_allowed(Path(real)):
            self.add(
                path,
                f"expected a link to a file of the model, found one that leaves it: {shown(real)}",
                "replace the link by the file: cp --remove-destination",
                _inside(path) if stat.S_ISDIR(status.st_mode) else (path,),
            )
            return None
        return real, status

    def is_allowed(self, real: Path) -> bool:
        return (
            real.is_relative_to(self.real_boundary)
            or is_cache_blob(real)
            or _STORE_OBJECT.search(str(real)) is not None
        )

    def resolved(self, real: str, status: os.stat_result, path: str, above: frozenset[str]) -> None:
        if stat.S_ISDIR(status.st_mode):
            if real in above:
                self.add(path, "expected a link to a file, found a loop of links", "delete the link", _inside(path))
            else:
                self.directory(real, path, above | {real})
        elif not stat.S_ISREG(status.st_mode):
            kind = next((kind for test, kind in _KINDS if test(status.st_mode)), "something else")
            self.add(path, f"expected a file, found {kind}", "delete it", (path,))
        elif not os.access(real, os.R_OK):
            self.add(path, f"cannot be read ({os.strerror(errno.EACCES)})", f"chmod u+r {shown(real)}", (path,))
        else:
            self.files.append(SourceFile(path=path, size=status.st_size, real_path=Path(real)))


def _inside(directory: str) -> tuple[str, ...]:
    """Files that a directory which cannot be looked into might hold: if those are unwanted, so is all in it."""
    return f"{directory}/config.json", f"{directory}/model.safetensors"
