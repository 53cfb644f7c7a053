"""Looking into the objects of a store: a file's bytes, a package's own files, a tree held against its plan."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hf_pack.disk.object_hash import hash_flat
from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.findings import Problem
from hf_pack.model.lock import Blob
from hf_pack.model.plan import Entry, Plan, Symlink
from hf_pack.ports import PackageFiles

_PROVENANCE = "hf-pack.json"
_BUILD = "flox-build-version-"
_CHUNK = 1 << 20


def read(real_path: Path, inside: str, offset: int, size: int | None) -> bytes:
    """``size`` bytes (all: None) of a file from ``offset``; links to sibling objects are followed."""
    with (real_path / inside if inside else real_path).open("rb", buffering=0) as file:
        file.seek(offset)
        if size is None:
            return file.read()
        parts: list[bytes] = []
        while size > 0 and (part := file.read(min(size, _CHUNK))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def package_files(real_path: Path) -> PackageFiles | None:
    """Where a package keeps its ``hf-pack.json`` and its files, from its directory names alone."""
    share = real_path / "share"
    try:
        names = sorted(entry.name for entry in share.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None
    provenance = next((f"share/{name}/{_PROVENANCE}" for name in names if (share / name / _PROVENANCE).is_file()), None)
    files = next(_files_directories(real_path), None)
    if provenance is None or files is None:
        return None
    triton = next((path.parent.name for path in sorted(real_path.glob("share/models/*/config.pbtxt"))), None)
    builds = (path.name.removeprefix(_BUILD) for path in (real_path / provenance).parent.glob(f"{_BUILD}*"))
    return PackageFiles(
        provenance=provenance,
        files=files,
        triton_model_name=triton,
        build_version=next((int(build) for build in builds if build.isdecimal()), None),
    )


def _files_directories(real_path: Path) -> Iterator[str]:
    for pattern in ("share/models/hub/models--*/snapshots/*", "share/models/*/weights"):
        for found in sorted(real_path.glob(pattern)):
            yield found.relative_to(real_path).as_posix()


def compare(plan: Plan, real_path: Path, store_path: StorePath) -> tuple[Problem, ...]:
    """Each entry that is missing, of another kind or with other bytes, and each file that the plan does not have."""
    problems = []
    expected = {entry.path: entry for entry in plan.entries}
    for path, entry in expected.items():
        if (found := _difference(entry, real_path / path)) is not None:
            problems.append(Problem(store_path=store_path, path=path, problem=found))
    problems += [
        Problem(store_path=store_path, path=path, problem="does not belong to the package")
        for path in _walk(real_path)
        if path not in expected
    ]
    return tuple(sorted(problems))


def _difference(entry: Entry, path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    if isinstance(entry, Symlink):
        if not stat.S_ISLNK(mode):
            return f"expected a link to {entry.target}, found no link"
        target = str(path.readlink())
        return None if target == entry.target else f"link: expected {entry.target}, found {target}"
    if not stat.S_ISREG(mode):
        return "expected a regular file, found something else"
    if mode & stat.S_IXUSR:
        return "expected a file that is not executable"
    if path.stat().st_size != entry.size:
        return f"size: expected {entry.size} bytes, found {path.stat().st_size}"
    if isinstance(entry.contents, Blob):
        found = hash_flat(path, lambda _size: None).sha256
        return (
            None
            if found == entry.contents.sha256
            else f"sha256: expected {entry.contents.sha256.hex()}, found {found.hex()}"
        )
    return None if path.read_bytes() == entry.contents else "its bytes are not those that were locked"


def _walk(root: Path) -> Iterator[str]:
    for parent, directories, files in os.walk(root):
        links = [name for name in directories if Path(parent, name).is_symlink()]
        for name in [*files, *links]:
            yield Path(parent, name).relative_to(root).as_posix()


def unreadable(store_path: StorePath, inside: str, error: OSError) -> StoreError:
    """The error for a file that should be there and cannot be read."""
    place = f"{store_path}/{inside}" if inside else str(store_path)
    return StoreError(
        f"a store object cannot be read\n  {place}: {error.strerror}", hint=f"hf-pack verify {store_path}"
    )
