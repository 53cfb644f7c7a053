"""What a store asks of an object that comes described by a narinfo, and what it records of it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from hf_pack.errors import StoreError
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo


def require_references(info: NarInfo, valid: AbstractSet[StorePath]) -> None:
    """Raise StoreError unless everything that the object refers to is valid; itself will be."""
    if missing := sorted(set(info.references) - valid - {info.store_path}):
        raise StoreError(
            f"{info.store_path} refers to what is not in the store\n  {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint="pull it with all that it refers to",
        )


def path_info_of(info: NarInfo) -> PathInfo:
    """What the object is registered as."""
    return PathInfo(
        store_path=info.store_path,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        references=info.references,
        content_address=None if info.content_address is None else str(info.content_address),
        signatures=info.signatures,
    )
