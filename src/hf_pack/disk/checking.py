"""Comparing an object on disk with what the store recorded of it."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from hf_pack.disk.object_hash import hash_flat, hash_tree
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import ContentAddress, parse_content_address, path_of_content_address
from hf_pack.model.findings import Problem
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Progress


def problems_of(
    real_path: Path, info: PathInfo, progress: Progress, *, sha256: Hash | None = None
) -> tuple[Problem, ...]:
    """What is wrong with a valid object, which must be a plain file of ``sha256`` when that is given.

    Every byte is read. OSError that is no damage is the caller's to turn.
    """

    def problem(text: str) -> Problem:
        return Problem(store_path=info.store_path, path="", problem=text)

    try:
        mode = real_path.lstat().st_mode
    except FileNotFoundError:
        return (problem("it is not on disk"),)
    found_sha256: Hash | None = None
    try:
        if stat.S_ISREG(mode) and not mode & stat.S_IXUSR:
            flat = hash_flat(real_path, progress.advance)
            found_sha256, nar_hash = flat.sha256, flat.nar_hash
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
    elif sha256 is not None and sha256 != found_sha256:
        found.append(problem(f"sha256: expected {sha256.hex()}, found {_hex(found_sha256)}"))
    address = None if info.content_address is None else _address(info, info.content_address)
    if isinstance(address, str):
        found.append(problem(f"content address: {address}"))
    # The hash of what refers to itself leaves its own path out.
    elif address is not None and not found and info.store_path not in info.references:
        actual = nar_hash if address.method == "recursive" else found_sha256
        if address.hash != actual:
            found.append(problem(f"content address: expected {address.hash.hex()}, found {_hex(actual)}"))
    return tuple(found)


def _address(info: PathInfo, text: str) -> ContentAddress | str:
    """The content address; or why the object's path does not follow from it."""
    others = [path for path in info.references if path != info.store_path]
    try:
        address = parse_content_address(text)
        name, self_reference = info.store_path.name, info.store_path in info.references
        path = path_of_content_address(name, address, others, self_reference=self_reference)
    except FormatError as error:
        return str(error)
    return address if path == info.store_path else f"that of {path}"


def _hex(found: Hash | None) -> str:
    return found.hex() if found else "an object that is no plain file"
