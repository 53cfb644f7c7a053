"""Before files leave the store as plain files, which nothing proves any more: they are what they must be."""

from __future__ import annotations

from hf_pack.errors import IntegrityError
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Progress, Store
from hf_pack.steps.building.verify import Recent, verify
from hf_pack.steps.workspace.targets import Target


def require_sound(store_path: StorePath, store: Store, workers: int, now: int, progress: Progress) -> None:
    """Read what was never proved or has changed since. Raises IntegrityError that names what is damaged."""
    bad = verify([Target(store_path=store_path)], store, workers, progress, Recent(now=now, since=0)).bad
    if bad:
        lines = [f"  {problem.store_path}{problem.path and '/'}{problem.path}: {problem.problem}" for problem in bad]
        raise IntegrityError(
            "\n".join([f"{store_path.name} is damaged; it was not written", *lines]),
            hint=f"hf-pack verify {store_path} --repair",
        )
