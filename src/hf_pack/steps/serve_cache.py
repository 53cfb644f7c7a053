"""A store seen as a binary cache: what each key holds, made when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.hashes import Hash
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import parse_content_address
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Readable, Store

_NARINFO = re.compile(r"([0-9a-z]{32})\.narinfo", re.ASCII)
_NAR = re.compile(r"nar/([0-9a-z]{32})-([0-9a-z]{52})\.nar", re.ASCII)
CACHE_INFO = CacheInfo(want_mass_query=True, priority=30)  #: before cache.nixos.org: a neighbour is nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAsCache:
    """``look_up`` gives the contents of a key of a Nix binary cache; ``keys`` sign each narinfo."""

    store: Store
    keys: Sequence[SecretKey] = ()

    def look_up(self, key: str) -> bytes | Readable | None:
        """The bytes of a small file, the NAR of an object, None where the cache has no such key.

        A NAR's key names its hash too, so that it never stands for other bytes. Raises StoreError.
        """
        if key == "nix-cache-info":
            return CACHE_INFO.format().encode()
        if match := _NARINFO.fullmatch(key):
            info = self._info(match[1])
            return None if info is None else self._narinfo(info).format().encode()
        if match := _NAR.fullmatch(key):
            info = self._info(match[1])
            if info is not None and info.nar_hash == Hash.parse(f"sha256:{match[2]}"):
                return self.store.nar(info.store_path)
        return None

    def _info(self, digest: str) -> PathInfo | None:
        store_path = self.store.with_digest(digest)
        return None if store_path is None else self.store.path_info(store_path)

    def _narinfo(self, info: PathInfo) -> NarInfo:
        narinfo = NarInfo(
            store_path=info.store_path,
            nar_hash=info.nar_hash,
            nar_size=info.nar_size,
            references=info.references,
            content_address=parse_content_address(info.content_address) if info.content_address else None,
            url=f"nar/{info.store_path.digest}-{info.nar_hash.nix32()}.nar",
            file_hash=info.nar_hash,
            file_size=info.nar_size,
        )
        for key in self.keys:
            narinfo = narinfo.with_signature(key.sign(narinfo.fingerprint()))
        return narinfo
