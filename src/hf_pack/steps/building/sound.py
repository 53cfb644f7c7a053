"""Before bytes leave the store's care: they are what they must be."""

from __future__ import annotations

from collections.abc import Sequence

from hf_pack.errors import IntegrityError
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Progress, Store
from hf_pack.steps.building.verify import Recent, verify
from hf_pack.steps.workspace.targets import Target


def require_sound(
    store_paths: Sequence[StorePath],
    store: Store,
    workers: int,
    progress: Progress,
    recent: Recent,
    *,
    problem: str,
    hint: str,
) -> None:
    """Re-hash the closures, but for what is ``recent``. Raises IntegrityError: ``problem``, then what is damaged."""
    bad = verify([Target(store_path=path) for path in store_paths], store, workers, progress, recent).bad
    if bad:
        raise IntegrityError("\n".join([problem, *(f"  {one.place}: {one.problem}" for one in bad)]), hint=hint)
