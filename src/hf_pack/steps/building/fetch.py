"""Fetch: bring the blobs that a store lacks from the places that may have them, in order, each proved by its sha256."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from hf_pack.errors import Error, HubError, IntegrityError, StoreError
from hf_pack.model.lock import Blob
from hf_pack.ports import (
    AddedBlob,
    BlobFinder,
    BlobSource,
    FileToAdd,
    Progress,
    Reception,
    Sources,
    Store,
    WantedBlob,
)
from hf_pack.side_by_side import all_side_by_side

#: Opens the reception of a blob; None when it is here: :meth:`hf_pack.ports.Store.receive`.
Receive = Callable[[Blob], AbstractContextManager[Reception | None]]

#: Files on their way at once; each may use several connections.
AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Where bytes may be had beside the manifest's directory, best first: on this machine, then the network.

    None of them needs trust: the lock's sha256 proves what they give. ``hub`` are those that know blobs by repository
    and commit, the others by their sha256. ``notes`` say which were left out, and why.
    """

    finders: tuple[BlobFinder, ...] = ()
    sources: tuple[BlobSource, ...] = ()
    hub: tuple[BlobSource, ...] = ()
    notes: tuple[str, ...] = ()


def passed_over(place: str, error: Error) -> str:
    """The note about a place that is not asked."""
    return f"note: {place} is passed over: {error.message.splitlines()[0]}"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a build finds bytes. ``elsewhere`` is asked only when the manifest's directory lacks something.

    ``substitutes`` says whether the store's own substituters may be asked, which they are first.
    """

    disk: Sources
    elsewhere: Callable[[], Elsewhere] = Elsewhere
    substitutes: Callable[[], bool] = lambda: False


def fetch(
    wanted: Sequence[WantedBlob], elsewhere: Elsewhere, store: Store, progress: Progress
) -> tuple[AddedBlob, ...]:
    """Every wanted blob, valid in the store at return.

    What is on this machine is copied, the rest received side by side; a place that is broken is passed over with a
    note. Raises HubError that names each file which could not be had and why, IntegrityError when the only reason is
    wrong bytes, StoreError when ``store`` itself refuses. What arrived before stays.
    """
    for line in elsewhere.notes:
        progress.note(line)
    added, rest = _from_this_machine(wanted, elsewhere.finders, store, progress)
    return (*added, *receive_all(rest, elsewhere, store.receive, progress))


def receive_all(
    wanted: Sequence[WantedBlob], elsewhere: Elsewhere, receive: Receive, progress: Progress
) -> tuple[AddedBlob, ...]:
    """Every wanted blob from the places of ``elsewhere`` that send it, side by side; raises as :func:`fetch` does."""
    sources = elsewhere.sources + elsewhere.hub
    if not wanted:
        return ()
    if not sources:
        raise _not_here(wanted)
    progress.start("fetch", sum(one.blob.size for one in wanted))
    try:
        return tuple(_received(wanted, sources, receive, progress))
    finally:
        progress.finish()


def _from_this_machine(
    wanted: Sequence[WantedBlob], finders: Sequence[BlobFinder], store: Store, progress: Progress
) -> tuple[list[AddedBlob], list[WantedBlob]]:
    added: list[AddedBlob] = []
    rest = list(wanted)
    for finder in finders:
        if not rest:
            break
        with finder.session():
            copied = _copied(_found(rest, finder, progress), finder, store, progress)
        added += copied.values()
        rest = [one for one in rest if one not in copied]
    return added, rest


def _found(wanted: Sequence[WantedBlob], finder: BlobFinder, progress: Progress) -> dict[WantedBlob, FileToAdd]:
    found = {}
    for one in wanted:
        try:
            path = finder.find(one)
        except Error as error:
            progress.note(passed_over(finder.name, error))
            break
        if path is not None:
            found[one] = FileToAdd(name=one.blob.name, real_path=path, expected=one.blob.sha256)
    return found


def _copied(
    found: Mapping[WantedBlob, FileToAdd], finder: BlobFinder, store: Store, progress: Progress
) -> dict[WantedBlob, AddedBlob]:
    """All at once; one by one only when some of them turn out to be bad, which are left to other places."""
    try:
        return dict(zip(found, store.add_blobs(list(found.values()), progress) if found else (), strict=True))
    except IntegrityError:
        pass
    except StoreError as error:
        if not any(_is_finders_fault(error, one, finder) for one in found):
            raise
    copied = {}
    for one, file in found.items():
        try:
            (copied[one],) = store.add_blobs([file], progress)
        except IntegrityError:
            progress.note(f"note: {finder.name} has other bytes under the name of {one.path}; left alone")
        except StoreError as error:
            if not _is_finders_fault(error, one, finder):
                raise
            progress.note(f"note: {finder.name} does not give {one.path}: {error.message.splitlines()[0]}")
    return copied


def _is_finders_fault(error: StoreError, wanted: WantedBlob, finder: BlobFinder) -> bool:
    """Whether the store may have refused because the file cannot be read; else it says what is wrong with itself."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.EIO, errno.ESTALE):
        return True  # a bad disk is either one's: if the store's, it shows again with what comes from elsewhere
    try:
        return finder.find(wanted) is None
    except Error:
        return True


def _received(
    wanted: Sequence[WantedBlob], sources: Sequence[BlobSource], receive: Receive, progress: Progress
) -> list[AddedBlob]:
    largest_first = sorted(wanted, key=lambda one: -one.blob.size)
    jobs = [partial(_receive, one, sources, receive, progress) for one in largest_first]
    # A full disk or an interrupt ends all; a file that cannot be had lets the others arrive.
    outcomes = all_side_by_side(jobs, AT_ONCE, [source.stop for source in sources])
    failures = [outcome for outcome in outcomes if isinstance(outcome, _Failure)]
    if failures:
        raise _error(failures, len(wanted))
    return [outcome for outcome in outcomes if isinstance(outcome, AddedBlob)]


@dataclass(frozen=True)
class _Failure:
    """A file that no place delivered."""

    wanted: WantedBlob
    refusals: tuple[tuple[str, Error | None], ...]  #: place, and its error; None: it does not have the file


_Outcome = AddedBlob | _Failure | None  #: None: another process brought it meanwhile


def _receive(wanted: WantedBlob, sources: Sequence[BlobSource], receive: Receive, progress: Progress) -> _Outcome:
    with receive(wanted.blob) as reception:
        if reception is None:
            return None
        refusals: list[tuple[str, Error | None]] = []
        for source in _twice_after_wrong_bytes(sources, refusals):
            child = progress.child(wanted.path, wanted.blob.size)
            try:
                if source.fetch(wanted, reception, child):
                    added = reception.finish()
                    progress.detail(f"verified {wanted.path}")
                    return added
                refusals.append((source.name, None))
            except (HubError, IntegrityError) as error:
                refusals.append((source.name, error))
            finally:
                child.finish()
        return _Failure(wanted, tuple(refusals))


def _twice_after_wrong_bytes(
    sources: Sequence[BlobSource], refusals: Sequence[tuple[str, Error | None]]
) -> Iterator[BlobSource]:
    """Each place once; and once more each when bytes turned out to be wrong, which were then forgotten."""
    yield from sources
    if any(isinstance(error, IntegrityError) for _, error in refusals):
        yield from sources


def _not_here(files: Sequence[WantedBlob]) -> HubError:
    lines = "".join(f"\n  {one.path}: {one.blob.size} bytes, {one.blob.store_path}" for one in files)
    what = "1 file is" if len(files) == 1 else f"{len(files)} files are"
    return HubError(
        f"{what} not on this machine, and the network is not to be asked{lines}",
        hint="build without --offline and HF_HUB_OFFLINE, or copy these blobs into the store",
    )


def _error(failures: Sequence[_Failure], total: int) -> Error:
    lines = []
    for failure in failures:
        lines.append(f"  {failure.wanted.path}: {failure.wanted.blob.size} bytes")
        for place, error in failure.refusals:
            reason = "does not have it" if error is None else error.message.replace("\n", "\n      ")
            lines.append(f"    {place}: {reason}")
    errors = [error for failure in failures for _, error in failure.refusals if error is not None]
    wrong = bool(errors) and all(isinstance(error, IntegrityError) for error in errors)
    kind = IntegrityError if wrong else HubError
    hint = next((error.hint for error in errors if error.hint), "run the same command again; what arrived is kept")
    return kind(f"{len(failures)} of {total} files could not be fetched\n" + "\n".join(lines), hint=hint)
