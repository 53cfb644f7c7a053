"""A store seen as a binary cache: what each key holds, made when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hf_pack.errors import SourceError, StoreError
from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.hashes import Hash
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.model.published import Published, format_index
from hf_pack.ports import Readable, Store
from hf_pack.steps.stored.cache_narinfo import narinfo_of
from hf_pack.steps.stored.closure import closure
from hf_pack.steps.stored.describe import describe
from hf_pack.steps.workspace.inventory import packages_of

_NARINFO = re.compile(r"([0-9a-z]{32})\.narinfo", re.ASCII)
_NAR = re.compile(r"nar/([0-9a-z]{32})-([0-9a-z]{52})\.nar", re.ASCII)
_INDEX = re.compile(r"hf-pack/(?:([^/]+)/)?index\.json")
CACHE_INFO = CacheInfo(want_mass_query=True, priority=30)  #: before cache.nixos.org: a neighbour is nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAsCache:
    """``look_up`` gives the contents of a key of a Nix binary cache and its index; ``keys`` sign what it says."""

    store: Store
    keys: Sequence[SecretKey] = ()
    _entries: dict[StorePath, Published] = field(default_factory=dict)

    def look_up(self, key: str) -> bytes | Readable | None:
        """The bytes of a small file, the NAR of an object, None where the cache has no such key.

        A NAR's key names its hash too, so that it never stands for other bytes. Raises StoreError.
        """
        if key == "nix-cache-info":
            return CACHE_INFO.format().encode()
        if match := _NARINFO.fullmatch(key):
            info = self._info(match[1])
            return None if info is None else self._narinfo(info)
        if match := _NAR.fullmatch(key):
            info = self._info(match[1])
            if info is not None and info.nar_hash == Hash.parse(f"sha256:{match[2]}"):
                return self.store.nar(info.store_path)
        if match := _INDEX.fullmatch(key):
            return self._index(match[1])
        return None

    def _info(self, digest: str) -> PathInfo | None:
        store_path = self.store.with_digest(digest)
        return None if store_path is None else self.store.path_info(store_path)

    def _narinfo(self, info: PathInfo) -> bytes:
        url = f"nar/{info.store_path.digest}-{info.nar_hash.nix32()}.nar"
        narinfo = narinfo_of(
            info, self.keys, url=url, compression="none", file_hash=info.nar_hash, file_size=info.nar_size
        )
        return narinfo.format().encode()

    def _index(self, pname: str | None) -> bytes | None:
        entries = [entry for info in packages_of(self.store) if (entry := self._entry(info)) is not None]
        chosen = [entry for entry in entries if pname in (None, entry.pname)]
        return format_index(chosen) if chosen or pname is None else None

    def _entry(self, info: PathInfo) -> Published | None:
        """A package's entry; what is not whole or cannot be read has none."""
        entry = self._entries.get(info.store_path)
        if entry is None:
            with suppress(StoreError, SourceError):
                size = sum(one.nar_size for one in closure(info.store_path, self.store))
                entry = describe(info, size, self.store).signed_by(self.keys)
                self._entries[info.store_path] = entry
        return entry
