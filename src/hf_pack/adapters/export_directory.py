"""Exported files on disk: each written whole, and nobody else's file overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hf_pack import durable
from hf_pack.errors import UsageError

#: How our expressions begin. Another file of the same name is somebody's own.
MARK = b"# Written by `hf-pack export"


def write_files(directory: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write the files (relative path to contents) where they differ; returns those that were written.

    Expressions come last, so that they never name data that is not there. Raises UsageError, before anything is
    written, when an expression of somebody's own is in the way.
    """
    for relative in files:
        if is_foreign(directory / relative):
            raise UsageError(
                f"{directory / relative} was not written by an export; it is left alone",
                hint="--output DIR writes elsewhere",
            )
    written = []
    with _as_usage_error(directory):
        for relative, contents in sorted(files.items(), key=lambda file: (file[0].endswith(".nix"), file[0])):
            path = directory / relative
            if not path.is_file() or path.read_bytes() != contents:
                path.parent.mkdir(parents=True, exist_ok=True)
                durable.replace_file(path, contents)
                written.append(path)
    return tuple(written)


def write_missing(directory: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write those files that are not there yet; returns them."""
    return write_files(directory, {path: data for path, data in files.items() if not os.path.lexists(directory / path)})


def add_lines(path: Path, lines: Iterable[str]) -> None:
    """Append the lines that the file lacks; it is made when missing."""
    with _as_usage_error(path):
        there = path.read_bytes() if path.exists() else b""
        missing = [line for line in lines if line.encode() not in there.splitlines()]
        if missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            end = b"" if not there or there.endswith(b"\n") else b"\n"
            durable.replace_file(path, there + end + "".join(f"{line}\n" for line in missing).encode())


def is_foreign(path: Path) -> bool:
    """Whether an expression is there that no export wrote."""
    return path.suffix == ".nix" and path.is_file() and not path.read_bytes().startswith(MARK)


@contextmanager
def _as_usage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the export cannot be written\n  {error.filename or path}: {error.strerror or error}"
        ) from None
