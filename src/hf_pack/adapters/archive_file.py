"""A large file of the user's choice, written whole or not at all."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from hf_pack import durable
from hf_pack.disk.write_aside import write_aside
from hf_pack.errors import UsageError
from hf_pack.ports import Progress, Readable


def write_archive(path: Path, contents: Readable, progress: Progress) -> int:
    """Make ``path`` these bytes, replacing a file that is there; returns those that were written.

    A killed run leaves ``.NAME.hf-pack-tmp`` beside it, which the next one goes on with. Raises UsageError for a place
    that does not take it.
    """
    staged = path.with_name(f".{path.name}{durable.SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UsageError(f"{path} is a directory", hint="--output FILE.tar")
        return write_aside(staged, path, contents, progress)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint=_advice(error, contents)) from None


def write_to_stdout(contents: Readable, progress: Progress) -> int:
    """Send the bytes to stdout, for a pipe; returns how many. What is broken off has no end, and is refused as such."""
    for chunk in contents.chunks(0, contents.size):
        sys.stdout.buffer.write(chunk)
        progress.advance(len(chunk))
    sys.stdout.buffer.flush()
    return contents.size


def _advice(error: OSError, contents: Readable) -> str:
    if error.errno == errno.EFBIG:
        return "this file system holds no file so large (FAT32 ends at 4 GiB): format it as exFAT or ext4"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"it takes {contents.size} bytes: free some and run it again, it goes on"
    return "name another place with --output"
