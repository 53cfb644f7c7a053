"""The narinfo that a binary cache of ours has for a store object."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath, parse_content_address
from hf_pack.model.path_info import PathInfo


def narinfo_key(store_path: StorePath) -> str:
    """Where it lies in the cache."""
    return f"{store_path.digest}.narinfo"


def narinfo_of(
    info: PathInfo, keys: Iterable[SecretKey], *, url: str, compression: str, file_hash: Hash, file_size: int
) -> NarInfo:
    """The narinfo, signed. ``url`` is the NAR's key; its hash and its size in bytes are those of the file there."""
    return signed(
        NarInfo(
            store_path=info.store_path,
            nar_hash=info.nar_hash,
            nar_size=info.nar_size,
            references=info.references,
            signatures=info.signatures,
            content_address=None if info.content_address is None else parse_content_address(info.content_address),
            url=url,
            compression=compression,
            file_hash=file_hash,
            file_size=file_size,
        ),
        keys,
    )


def signed(narinfo: NarInfo, keys: Iterable[SecretKey]) -> NarInfo:
    """The narinfo with a signature of each key, beside those that it has."""
    for key in keys:
        narinfo = narinfo.with_signature(key.sign(narinfo.fingerprint()))
    return narinfo
