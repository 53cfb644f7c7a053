"""What a store holds: proved, and collected."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack import wiring
from hf_pack.errors import UsageError
from hf_pack.steps.quiet import QUIET

if TYPE_CHECKING:
    from hf_pack.model.findings import Collection
    from hf_pack.ports import Progress
    from hf_pack.steps.building.verify import Verified


def verify(
    names: Sequence[str] = (),
    *,
    everything: bool = False,
    quick: bool = False,
    older_than: int | None = None,
    repair: bool = False,
    caches: Sequence[str] = (),
    workspace: Path | str = ".",
    store: str | None = None,
    progress: Progress = QUIET,
) -> Verified:
    """Re-hash packages (names, store paths or ``pname@version``) against lock and store, or ``everything`` that the
    store holds; ``bad`` is empty when all is well.

    With ``quick``, what was proved once and has not changed since by its files' identity is not read; with
    ``older_than``, what was proved in that many seconds. With ``repair``, damaged objects are restored from where a
    build finds bytes (the source, this machine, the Hub), else from binary caches (URLs; none: ``caches`` of
    ``hf-pack.toml``), which need no workspace.
    """
    from hf_pack.steps.building import verify as verifying
    from hf_pack.steps.building.repair import repair as repair_packages
    from hf_pack.steps.building.repair_from_caches import repair_from_caches
    from hf_pack.steps.workspace import targets

    place, chosen = wiring.optional_workspace(Path(workspace)), wiring.open_store(store)
    found = [targets.resolve(name, place, chosen) for name in names]
    if everything:
        found += [targets.Target(store_path=info.store_path, named=False) for info in chosen.all_paths()]
    now = int(time.time())
    recent = verifying.Recent(now=now, since=0 if quick else None if older_than is None else now - older_than)
    workers = os.cpu_count() or 1
    verified = verifying.verify(found, chosen, workers, progress, recent)
    if not repair or not verified.bad:
        return verified
    urls = caches or (() if place is None else wiring.read_settings(place).caches)
    if place is None and not urls:
        raise UsageError(
            "repair needs the workspace of the package, or a cache that has it",
            hint="run it where hf-pack.toml is, or with --from URL",
        )
    if place is not None:
        places = wiring.open_places(place, chosen, progress)
        verified = repair_packages(verified, found, place, places, chosen, workers, progress, recent)
    if not verified.bad or not urls:
        return verified
    keys = wiring.read_trust((), None, place).keys
    offers = wiring.open_caches(caches, place)
    return repair_from_caches(verified, found, offers, keys, chosen, workers, progress, recent)


def collect_garbage(*, dry_run: bool = False, store: str | None = None) -> Collection:
    """Delete what no root keeps from the store, or say what would be deleted. Raises StoreError."""
    return wiring.open_store(store).collect_garbage(dry_run=dry_run)
