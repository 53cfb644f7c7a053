"""Garbage collection by Nix: from all roots of the machine, not ours alone."""

from __future__ import annotations

from hf_pack.adapters.nix_daemon import operations, roots
from hf_pack.adapters.nix_daemon.connecting import PATIENCE
from hf_pack.adapters.nix_daemon.held import HeldBlobs
from hf_pack.adapters.nix_daemon.link import Link
from hf_pack.adapters.nix_daemon.state import State
from hf_pack.disk import reception
from hf_pack.disk.usage import disk_bytes
from hf_pack.model.findings import Collection

_LINKS = ".links"  # of ``nix-store --optimise``, in the store directory


def collect(link: Link, state: State, *, delete: bool) -> Collection:
    """Delete what no root reaches, or say what would go. OSError is the caller's to turn."""
    roots.drop_dead(link, state)
    with link.asking.lend() as connection:
        valid = frozenset(operations.query_all_valid_paths(connection))
        connection.patience(None)  # it may delete for hours, and say nothing
        deleted, freed = operations.collect_garbage(connection, delete=delete)
        connection.patience(PATIENCE)
    if delete:
        freed += reception.remove_abandoned(state.receiving) + HeldBlobs(state).remove_abandoned()
    else:
        dead = [link.real_path(path) for path in deleted]
        abandoned = (*reception.abandoned_folders(state.receiving), *HeldBlobs(state).abandoned())
        freed = disk_bytes([*dead, *abandoned], link.real_store_dir / _LINKS)
    return Collection(deleted=deleted, kept=len(valid.difference(deleted)), freed=freed)
