"""Repair: proven bytes in the place of damaged objects, from wherever a build may find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from pathlib import Path

from hf_pack.errors import Error, SourceError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import LockedFile
from hf_pack.model.manifest import PathSource, Storage
from hf_pack.ports import Progress, Store, Workspace
from hf_pack.steps.building.bring import bring, elsewhere_for, file_to_add, places_on_disk, wanted_blobs
from hf_pack.steps.building.fetch import Elsewhere, Places, receive_all
from hf_pack.steps.building.stream_tree import stream_tree
from hf_pack.steps.building.verify import Recent, Verified, verify
from hf_pack.steps.workspace.packages import Package
from hf_pack.steps.workspace.targets import Target, readable_packages


def repair(
    verified: Verified,
    targets: Sequence[Target],
    workspace: Workspace,
    places: Places,
    store: Store,
    workers: int,
    progress: Progress,
    recent: Recent,
) -> Verified:
    """Put proven bytes in the place of damaged objects, and verify again. What nobody has is noted.

    What is damaged may be of any package of the workspace, whatever the targets were named by; but a self-contained
    tree is made again only where its blobs were verified, too: under the package's name.
    """
    damaged = {problem.store_path for problem in verified.bad}
    named = {target.package.name: (target.package, target.store_path) for target in targets if target.package}
    with store.session():
        for package, store_path in chain(named.values(), readable_packages(workspace, named)):
            if not damaged:
                break
            if store_path in damaged and package.plan.storage is Storage.SELF_CONTAINED and package.name not in named:
                progress.note(f"{store_path.name} is self-contained: hf-pack verify {package.name} --repair")
                store_path = None
            damaged -= _repair_package(store_path, package, damaged, workspace, places, store, progress)
    return repaired(verified, verify(targets, store, workers, progress, recent))


def repaired(before: Verified, again: Verified) -> Verified:
    """What a second look after a repair says, with what is sound since the first."""
    still = {problem.store_path for problem in again.bad}
    mended = tuple(problem for problem in before.bad if problem.store_path not in still)
    return replace(again, skipped=before.skipped, repaired=(*before.repaired, *mended))


def _repair_package(
    store_path: StorePath | None,
    package: Package,
    damaged: Set[StorePath],
    workspace: Workspace,
    places: Places,
    store: Store,
    progress: Progress,
) -> set[StorePath]:
    """What of the damaged objects is mended now: blobs of the package, and its tree where ``store_path`` is given."""
    plan, mended = package.plan, set[StorePath]()
    wrong = {file.blob: file for file in package.lock.files if file.is_blob and file.blob.store_path in damaged}
    on_disk = places_on_disk(list(wrong.values()), package, workspace, places.disk)
    elsewhere = cache(lambda: elsewhere_for(package, places))
    for blob, file in wrong.items():
        try:
            _replace(file, on_disk.get(file.path), elsewhere, package, store, progress)
        except Error as error:
            progress.note(f"{blob.name} is not repaired: {error.message}")
        else:
            mended.add(blob.store_path)
    # A self-contained tree made of damaged blobs would be another tree.
    sound = all(blob.store_path in mended for blob in wrong)
    if store_path is not None and store_path in damaged and (sound or plan.storage is Storage.LINKED):
        try:
            if plan.storage is Storage.SELF_CONTAINED and store.streamer is not None:
                stream_tree(package, store.streamer, workspace, places, store, progress, repair=True)
            else:
                here = store.keep(blob.store_path for blob in plan.blobs)
                missing = [blob for blob in plan.blobs if blob.store_path not in here]
                bring(missing, package, workspace, places, store, progress)
                store.replace_tree(plan, progress)
        except Error as error:
            progress.note(f"{store_path.name} is not repaired: {error.message}")
        else:
            mended.add(store_path)
    return mended


def _replace(
    file: LockedFile,
    on_disk: Path | None,
    elsewhere: Callable[[], Elsewhere],
    package: Package,
    store: Store,
    progress: Progress,
) -> None:
    """By the first place that has the bytes. Raises the last one's error."""
    (wanted,) = wanted_blobs([file], package)
    source = package.manifest.source
    where = f"in source.path {source.path}" if isinstance(source, PathSource) else "anywhere else on this machine"
    problem: Error = SourceError(f"{file.path} is neither beside the lock nor {where}")
    if on_disk is not None:
        try:
            store.replace_blob(file_to_add(file, on_disk), file.blob, progress)
        except Error as error:
            problem = error
        else:
            return
    for finder in elsewhere().finders:
        try:
            with finder.session():
                if (found := finder.find(wanted)) is not None:
                    store.replace_blob(file_to_add(file, found), file.blob, progress)
                    return
        except Error as error:
            problem = error
    if not elsewhere().sources and not elsewhere().hub:
        raise problem
    receive_all([wanted], elsewhere(), partial(store.receive, repair=True), progress)
