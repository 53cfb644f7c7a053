"""Adding objects that come as NARs: proved as they pass, and by the daemon, whose settings say whom to trust."""

from __future__ import annotations

from collections.abc import Iterable

from hf_pack.adapters.nix_daemon import operations
from hf_pack.adapters.nix_daemon.faults import DaemonGoneError
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.disk.incoming import path_info_of, require_references
from hf_pack.disk.refusals import free_bytes, out_of_space
from hf_pack.formats.hashes import HashAlgorithm
from hf_pack.formats.narinfo import NarInfo
from hf_pack.model.proven_nar import ProvenNar, require_address


def add(link: Link, info: NarInfo, nar: Iterable[bytes | memoryview], *, repair: bool) -> None:
    """See :meth:`hf_pack.ports.Store.add_object`. OSError is the caller's to turn."""
    valid = link.protect([info.store_path, *info.references])
    if not repair and info.store_path in valid and link.present(info.store_path) is not None:
        return
    require_address(info)
    require_references(info, valid)
    if link.real_store_dir.exists() and info.nar_size > (free := free_bytes(link.real_store_dir)):
        raise out_of_space(needed=info.nar_size, free=free, place=link.real_store_dir)
    # The daemon answers only when it has the end, which comes when all is proved: nothing else gets valid meanwhile.
    body = ProvenNar(info, nar).raw()
    repair = repair or info.store_path in valid
    with link.adding.lend() as connection:
        if _is_plain_tree(info):
            # One pass of the daemon's over the bytes, not two.
            found = operations.add_to_store(
                connection,
                info.store_path.name,
                operations.RECURSIVE,
                body,
                references=info.references,
                repair=repair,
            )
            if found.store_path != info.store_path:
                raise DaemonGoneError(f"the Nix daemon names an object otherwise than it must\n  {found.store_path}")
        else:
            operations.add_to_store_nar(connection, path_info_of(info), body, repair=repair)


def _is_plain_tree(info: NarInfo) -> bool:
    address = info.content_address
    return (
        address is not None
        and address.method == "recursive"
        and address.hash.algorithm == HashAlgorithm.SHA256
        and info.store_path not in info.references
    )
