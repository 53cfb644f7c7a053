"""The files of a package's model as they lie in a store object, whatever the object says of itself."""

from __future__ import annotations

import hashlib

from hf_pack.errors import StoreError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.nar_reader import FileChunk, FileEnd, FileStart, Symlink
from hf_pack.formats.store_path import StorePath, parse_content_address
from hf_pack.model.path_info import PathInfo
from hf_pack.model.proven_nar import ProvenNar
from hf_pack.ports import Progress, Store
from hf_pack.steps.stored.cache_narinfo import narinfo_of
from hf_pack.steps.stored.contents import stored_contents


def files_of_object(info: PathInfo, store: Store, progress: Progress) -> dict[str, Hash]:
    """The sha256 of every file in the model's directory, by path. The object is read as a whole, which proves it.

    Links lead to blobs, whose content address the store recorded: these are not read. Raises StoreError,
    IntegrityError.
    """
    directory = stored_contents(info.store_path, store).directory + "/"
    nar = store.nar(info.store_path)
    described = narinfo_of(
        info,
        (),
        url=f"nar/{info.nar_hash.nix32()}.nar",
        compression="none",
        file_hash=info.nar_hash,
        file_size=info.nar_size,
    )
    found: dict[str, Hash] = {}
    hasher = hashlib.sha256()
    for event in ProvenNar(described, nar.chunks(0, nar.size)).events():
        match event:
            case FileStart():
                hasher = hashlib.sha256()
            case FileChunk(data):
                hasher.update(data)
                progress.advance(len(data))
            case FileEnd(path) if (text := _text(path)).startswith(directory):
                found[text.removeprefix(directory)] = Hash.from_hex(hasher.hexdigest())
            case Symlink(path, target) if (text := _text(path)).startswith(directory):
                found[text.removeprefix(directory)] = _linked(target.decode(errors="replace"), info, store)
            case _:
                pass
    return found


def _text(path: tuple[bytes, ...]) -> str:
    return b"/".join(path).decode(errors="replace")


def _linked(target: str, tree: PathInfo, store: Store) -> Hash:
    try:
        info = store.path_info(StorePath.parse_base_name(target.rsplit("/", 1)[-1]))
        address = None if info is None else parse_content_address(info.content_address or "")
    except FormatError:
        info = address = None
    recorded = info is not None and info.store_path in tree.references
    if not recorded or address is None or address.method != "flat" or address.hash.algorithm != "sha256":
        raise StoreError(
            f"{tree.store_path} has a file whose sha256 is not recorded\n"
            f"  its link to {target}: expected a blob by its content, which it refers to",
            hint=f"hf-pack verify {tree.store_path}",
        )
    return address.hash
