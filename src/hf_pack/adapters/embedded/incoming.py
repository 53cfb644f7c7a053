"""Adding objects that come as NARs, of whatever kind: proved in staging, then placed like any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hf_pack import durable
from hf_pack.adapters.embedded.database import Database
from hf_pack.adapters.embedded.layout import StoreLayout
from hf_pack.adapters.embedded.placing import Staged, place, replace
from hf_pack.adapters.embedded.temp_roots import TempRoots
from hf_pack.disk import objects
from hf_pack.disk.incoming import path_info_of, require_references
from hf_pack.disk.refusals import free_bytes, out_of_space, ran_out
from hf_pack.disk.restoring import restore
from hf_pack.disk.staging import staging_folder
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey
from hf_pack.model.proven_nar import ProvenNar, require_authentic


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectAdder:
    """What adding needs of a store."""

    layout: StoreLayout
    database: Database
    temp_roots: TempRoots

    def add(
        self, info: NarInfo, nar: Iterable[bytes | memoryview], trusted_keys: Sequence[PublicKey], *, repair: bool
    ) -> None:
        """See :meth:`hf_pack.ports.Store.add_object`. OSError is the caller's to turn."""
        self.temp_roots.add([info.store_path, *info.references])
        known = self.database.info(info.store_path)
        is_there = known is not None and objects.is_whole(self.layout.real_path(info.store_path), known)
        if is_there and not repair:
            return
        # Of what the store has recorded, the recorded hash is a proof of its own.
        if known is None or known.nar_hash != info.nar_hash:
            require_authentic(info, trusted_keys)
        require_references(info, self.database.valid(info.references))
        free = free_bytes(self.layout.staging)
        if info.nar_size > free:
            raise out_of_space(needed=info.nar_size, free=free, place=self.layout.root)
        with staging_folder(self.layout.staging) as folder:
            try:
                restore(ProvenNar(info, nar).events(), folder / "object")
                durable.sync(folder)
            except OSError as error:
                if ran_out(error, needed=info.nar_size, place=folder):
                    left = free_bytes(folder)
                    raise out_of_space(needed=info.nar_size, free=left, place=self.layout.root) from error
                raise
            staged = Staged(path=folder / "object", info=path_info_of(info))
            if repair:
                replace(staged, self.layout, self.database, aside=folder / "damaged")
            else:
                place([staged], self.layout, self.database)
