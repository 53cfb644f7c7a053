"""A self-contained tree from files wherever they lie, for a store that keeps no blobs for it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from hf_pack.errors import Error, IntegrityError
from hf_pack.formats import nar
from hf_pack.model.lock import Blob, LockedFile
from hf_pack.ports import AddedBlob, AddedTree, Progress, Store, TreeStreamer, Workspace
from hf_pack.steps.building.bring import (
    bring,
    elsewhere_for,
    no_network_helps,
    places_on_disk,
    vouched_for,
    wanted_blobs,
)
from hf_pack.steps.building.fetch import Elsewhere, Places, passed_over, receive_all
from hf_pack.steps.workspace.packages import Package


def stream_tree(
    package: Package,
    streamer: TreeStreamer,
    workspace: Workspace,
    places: Places,
    store: Store,
    progress: Progress,
    *,
    repair: bool = False,
) -> tuple[tuple[AddedBlob, ...], AddedTree]:
    """Make the tree of what is in the store, beside the lock, in the source, elsewhere on this machine, in the store's
    substituters, or sent by others, in this order. Also returns what was brought first. With ``repair`` it takes the
    place of one that is there.

    Raises as :func:`hf_pack.steps.building.realise.build` does.
    """
    plan, add_tree = package.plan, partial(streamer.add_tree, repair=repair)
    locked = {file.blob: file for file in package.lock.files if file.is_blob}
    here = vouched_for(plan.blobs, store)
    needed = [locked[blob] for blob in plan.blobs if blob not in here]
    on_disk = places_on_disk(needed, package, workspace, places.disk)
    files = {file.blob: on_disk[file.path] for file in needed if file.path in on_disk}
    absent = [file for file in needed if file.path not in on_disk]
    if not absent:
        return (), add_tree(plan, files, progress)
    elsewhere = elsewhere_for(package, places)
    with ExitStack() as sessions:
        found = _found(absent, package, elsewhere, sessions, progress)
        rest = [file for file in absent if file.blob not in found]
        if rest and places.substitutes():
            store.substitute({file.blob.store_path: nar.file_size(file.size) for file in rest}, progress)
            here = vouched_for([file.blob for file in rest], store)
            rest = [file for file in rest if file.blob not in here]
        received = _received(rest, package, elsewhere, streamer, progress)
        try:
            return received, add_tree(plan, files | found, progress)
        except IntegrityError as error:
            if not found:
                raise
            progress.note(f"note: {error.message.splitlines()[-1].strip()}; what was found on this machine is checked")
    # Something lay elsewhere under the name of other bytes: as blobs each is proved by itself, and what fails is left.
    brought = bring(list(found), package, workspace, places, store, progress)
    return (*received, *brought), add_tree(plan, files, progress)


def _found(
    absent: list[LockedFile], package: Package, elsewhere: Elsewhere, sessions: ExitStack, progress: Progress
) -> dict[Blob, Path]:
    """Files of other places of this machine that should hold the bytes; they stay there during the sessions."""
    found: dict[Blob, Path] = {}
    for finder in elsewhere.finders:
        sessions.enter_context(finder.session())
        try:
            for wanted in wanted_blobs([file for file in absent if file.blob not in found], package):
                if (place := finder.find(wanted)) is not None:
                    found[wanted.blob] = place
        except Error as error:
            progress.note(passed_over(finder.name, error))
    return found


def _received(
    rest: list[LockedFile], package: Package, elsewhere: Elsewhere, streamer: TreeStreamer, progress: Progress
) -> tuple[AddedBlob, ...]:
    if not rest:
        return ()
    for line in elsewhere.notes:
        progress.note(line)
    with no_network_helps(rest, package, elsewhere):
        return receive_all(wanted_blobs(rest, package), elsewhere, streamer.hold, progress)
