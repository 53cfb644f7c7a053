"""Comparing an object on disk with what the store recorded of it."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from hf_pack.disk.object_hash import hash_flat, hash_tree
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import parse_content_address
from hf_pack.model.findings import Problem
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Progress


def problems_of(real_path: Path, info: PathInfo, progress: Progress) -> tuple[Problem, ...]:
    """What is wrong with a valid object; every byte is read. OSError that is no damage is the caller's to turn."""

    def problem(text: str) -> Problem:
        return Problem(store_path=info.store_path, path="", problem=text)

    try:
        mode = real_path.lstat().st_mode
    except FileNotFoundError:
        return (problem("it is not on disk"),)
    sha256: Hash | None = None
    try:
        if stat.S_ISREG(mode) and not mode & stat.S_IXUSR:
            flat = hash_flat(real_path, progress.advance)
            sha256, nar_hash = flat.sha256, flat.nar_hash
        else:
            nar_hash = hash_tree(real_path, progress.advance).nar_hash
    except FormatError as error:
        return (problem(str(error)),)
    except OSError as error:
        if error.errno == errno.EIO:
            return (problem(f"it cannot be read: {error.strerror}"),)
        raise
    found = []
    if nar_hash != info.nar_hash:
        found.append(problem(f"NAR hash: expected {info.nar_hash.sri()}, found {nar_hash.sri()}"))
    if info.content_address is not None:
        address = parse_content_address(info.content_address)
        actual = nar_hash if address.method == "recursive" else sha256
        if address.method != "text" and address.hash != actual and not found:
            text = actual.sri() if actual else "an object that is no plain file"
            found.append(problem(f"content address: expected {address.hash.sri()}, found {text}"))
    return tuple(found)
