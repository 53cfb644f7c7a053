"""Repair: damaged objects anew from binary caches; the store's own record, or their address, proves what comes."""

from __future__ import annotations

from collections.abc import Sequence

from hf_pack.errors import Error, HubError, IntegrityError
from hf_pack.formats.signing import PublicKey
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import ObjectCache, Progress, Store
from hf_pack.steps.building.repair import repaired
from hf_pack.steps.building.verify import Recent, Verified, verify
from hf_pack.steps.caches.pull import bring, find
from hf_pack.steps.workspace.targets import Target


def repair_from_caches(
    verified: Verified,
    targets: Sequence[Target],
    caches: Sequence[ObjectCache],
    trusted_keys: Sequence[PublicKey],
    store: Store,
    workers: int,
    progress: Progress,
    recent: Recent,
) -> Verified:
    """Put what a cache has in the place of each damaged object, and verify again. What no cache has is noted."""
    damaged = sorted({problem.store_path for problem in verified.bad})
    with store.session():
        valid = store.valid_paths(damaged)
        for store_path in damaged:
            if store_path in valid:
                try:
                    _replace(store_path, caches, trusted_keys, store)
                except Error as error:
                    progress.note(f"{store_path.name} is not repaired: {error.message}")
        # The last that is asked of the caches: its failure stops them.
        if missing := set(damaged) - valid:
            try:
                bring(missing, caches, store, progress, trusted_keys=trusted_keys)
            except Error as error:
                progress.note(f"{min(missing).name} is not repaired: {error.message}")
    return repaired(verified, verify(targets, store, workers, progress, recent))


def _replace(
    store_path: StorePath, caches: Sequence[ObjectCache], trusted_keys: Sequence[PublicKey], store: Store
) -> None:
    """By the first cache that has it sound. Raises the error of the first."""
    problems: list[Error] = []
    for cache in caches:
        try:
            offer = find(store_path, [cache])
            store.add_object(offer.info, cache.nar(offer.info), trusted_keys=trusted_keys, repair=True)
        except (HubError, IntegrityError) as error:
            problems.append(error)
        else:
            return
    raise problems[0]
