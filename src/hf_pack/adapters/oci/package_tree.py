"""A package of a store as the plan that made it, read back from its tree."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from hf_pack.disk.object_hash import hash_flat
from hf_pack.errors import IntegrityError, StoreError, UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath, flat_content_address, parse_content_address, sanitize_name
from hf_pack.model.lock import Blob, is_blob
from hf_pack.model.manifest import Storage
from hf_pack.model.path_info import PathInfo
from hf_pack.model.plan import Entry, Plan, RegularFile, Symlink
from hf_pack.ports import Store


def read_plan(store: Store, info: PathInfo) -> tuple[Plan, dict[Blob, Path]]:
    """The plan of a valid package, and where its blobs' bytes lie.

    Of a linked package it is proved: the plan has the recorded NAR hash. Of a self-contained one the weights' sha256
    are those that its ``hf-pack.json`` states. Raises UsageError for what is no package, IntegrityError, StoreError.
    """
    inside = store.package_files(info.store_path)
    if inside is None:
        raise UsageError(f"{info.store_path} is no package", hint="hf-pack list")
    root = store.real_path(info.store_path)
    blobs = {path.base_name: (path, _blob(store, path)) for path in info.references if path != info.store_path}
    stated = _stated(store.read(info.store_path, inside.provenance), inside.files)
    entries: list[Entry] = []
    places: dict[Blob, Path] = {}
    for path, real in _walk(root):
        if real.is_symlink():
            target = str(real.readlink())
            up = "../" * (path.count("/") + 1)
            found = blobs.get(target.removeprefix(up)) if target.startswith(up) else None
            entries.append(Symlink(path=path, target=target, blob=found[1] if found else None))
            if found is not None:
                places[found[1]] = store.real_path(found[0])
            continue
        status = real.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{info.store_path}/{path} is no file", hint=f"hf-pack verify {info.store_path}")
        if is_blob(path, status.st_size):
            sha256 = stated.get((path, status.st_size)) or hash_flat(real, lambda _size: None).sha256
            blob = Blob(name=sanitize_name(real.name), sha256=sha256, size=status.st_size)
            entries.append(RegularFile(path=path, contents=blob))
            places[blob] = real
        else:
            entries.append(RegularFile(path=path, contents=real.read_bytes()))
    storage = Storage.LINKED if info.references else Storage.SELF_CONTAINED
    plan = Plan(
        name=info.store_path.name, storage=storage, entries=tuple(sorted(entries, key=lambda entry: entry.path))
    )
    if plan.nar_hash() not in (None, info.nar_hash):
        raise IntegrityError(
            f"{info.store_path} is damaged: its tree has other bytes than the store recorded",
            hint=f"hf-pack verify {info.store_path}",
        )
    return plan, places


def _blob(store: Store, store_path: StorePath) -> Blob:
    info = store.path_info(store_path)
    if info is None:
        raise StoreError(f"{store_path} is not in the store", hint="hf-pack build")
    try:
        address = parse_content_address(info.content_address or "")
    except FormatError:
        address = None
    if address is None or info.content_address != flat_content_address(address.hash):
        raise StoreError(f"{store_path} is not by its content in the store, so its sha256 is not known")
    return Blob(name=store_path.name, sha256=address.hash, size=store.real_path(store_path).stat().st_size)


def _stated(provenance: bytes, files: str) -> dict[tuple[str, int], Hash]:
    try:
        return {
            (f"{files}/{row['path']}", int(row["size"])): Hash.from_hex(row["sha256"])
            for row in json.loads(provenance)["files"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"hf-pack.json of the package cannot be read: {type(error).__name__}") from None


def _walk(root: Path) -> list[tuple[str, Path]]:
    found = []
    for parent, directories, files in os.walk(root):
        links = [name for name in directories if Path(parent, name).is_symlink()]
        found += [Path(parent, name) for name in [*files, *links]]
    return [(path.relative_to(root).as_posix(), path) for path in found]
