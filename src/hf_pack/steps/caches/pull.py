"""Pull: bring objects with all that they refer to from binary caches; only what the store lacks travels."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from hf_pack.errors import Error, HubError, IntegrityError
from hf_pack.formats import nar
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import PublicKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob
from hf_pack.ports import ObjectCache, Progress, Reception, Store
from hf_pack.side_by_side import all_side_by_side
from hf_pack.steps.caches import pull_tree
from hf_pack.steps.counting import Count, CountedProgress
from hf_pack.steps.quiet import QUIET

AT_ONCE = 4  #: objects on their way; each has one connection
_ASKED_AT_ONCE = 16
_HEADER = len(nar.file_header(0))

_Hold = Callable[[Blob], AbstractContextManager[Reception | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An object that the store lacks, and the first cache that has it."""

    info: NarInfo
    cache: ObjectCache

    @property
    def blob(self) -> Blob | None:
        """What it is when it is a plain file by its sha256, of unknown size; that can be received in parts."""
        address = self.info.content_address
        if address is None or address.method != "flat" or self.info.references:
            return None
        if address.hash.algorithm != "sha256" or not self.info.content_address_holds():
            return None
        return Blob(name=self.info.store_path.name, sha256=address.hash, size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came: objects, bytes of NARs that arrived (what an earlier run received is not among them), seconds."""

    objects: int
    bytes_received: int
    seconds: float


def bring(
    wanted: Iterable[StorePath],
    caches: Sequence[ObjectCache],
    store: Store,
    progress: Progress,
    *,
    trusted_keys: Sequence[PublicKey] = (),
) -> Brought:
    """Make these objects valid, with all that they refer to; several packages share what they have in common.

    Within a session of the store, which keeps them. Raises HubError that names what no cache has or gives,
    IntegrityError for what arrives damaged, PolicyError for what needs a signature, StoreError. What arrived stays.
    """
    started = time.monotonic()
    offers = missing(wanted, caches, store)
    count = Count()
    if offers:
        counted = CountedProgress(progress, count)
        progress.start("pull", sum(offer.info.nar_size for offer in offers.values()))
        try:
            for group in _in_order(offers):
                largest_first = sorted(group, key=lambda offer: -offer.info.nar_size)
                jobs = [partial(_bring, offer, caches, store, counted, trusted_keys) for offer in largest_first]
                all_side_by_side(jobs, AT_ONCE, [cache.stop for cache in caches])
        finally:
            progress.finish()
    return Brought(objects=len(offers), bytes_received=count.total, seconds=time.monotonic() - started)


def missing(wanted: Iterable[StorePath], caches: Sequence[ObjectCache], store: Store) -> dict[StorePath, Offer]:
    """The objects of the closure that the store lacks, and who has them; one request each. What is there is not asked
    for, nor what it refers to."""
    offers: dict[StorePath, Offer] = {}
    waiting = set(wanted)
    while waiting:
        lacking = sorted(waiting - store.keep(waiting))
        for offer in all_side_by_side(
            [partial(find, path, caches) for path in lacking], _ASKED_AT_ONCE, [cache.stop for cache in caches]
        ):
            offers[offer.info.store_path] = offer
        waiting = {path for one in lacking for path in offers[one].info.references} - offers.keys()
    return offers


def find(store_path: StorePath, caches: Sequence[ObjectCache]) -> Offer:
    """The first cache that has the object. Raises HubError when none has; the error of one that is broken."""
    problems: list[Error] = []
    for cache in caches:
        try:
            info = cache.describe(store_path)
        except (HubError, IntegrityError) as error:
            problems.append(error)
            continue
        if info is not None:
            return Offer(info=info, cache=cache)
    if problems:
        raise problems[0]
    raise in_no_cache(store_path, caches)


def search_hint(caches: Sequence[ObjectCache]) -> str:
    """The command that lists what the first of the caches has."""
    return shlex.join(["hf-pack", "search", "--from", caches[0].name]) if caches else "hf-pack search --from URL"


def in_no_cache(store_path: StorePath, caches: Sequence[ObjectCache]) -> HubError:
    """The error that names the caches which were asked."""
    places = "".join(f"\n  {cache.name}: does not have it" for cache in caches)
    return HubError(f"{store_path} is in no cache{places}", hint=search_hint(caches))


def _in_order(offers: Mapping[StorePath, Offer]) -> Iterator[list[Offer]]:
    """Groups of objects, each after all that it refers to."""
    rest, done = dict(offers), set[StorePath]()
    while rest:
        ready = [
            path for path, offer in rest.items() if not (set(offer.info.references) & offers.keys()) - done - {path}
        ]
        if not ready:
            raise IntegrityError(f"{min(rest)} refers to itself by way of others\n  References: of narinfos")
        yield [rest.pop(path) for path in ready]
        done |= set(ready)


def _bring(
    offer: Offer, caches: Sequence[ObjectCache], store: Store, progress: Progress, trusted_keys: Sequence[PublicKey]
) -> None:
    """From the first cache that has it, else from the others. Raises the error of the first."""
    problems: list[Error] = []
    for cache in (offer.cache, *(cache for cache in caches if cache is not offer.cache)):
        try:
            info = offer.info if cache is offer.cache else cache.describe(offer.info.store_path)
            if info is not None:
                _bring_from(Offer(info=info, cache=cache), store, progress, trusted_keys)
                return
        except (HubError, IntegrityError) as error:
            problems.append(error)
    raise problems[0]


def _bring_from(offer: Offer, store: Store, progress: Progress, trusted_keys: Sequence[PublicKey]) -> None:
    info, cache = offer.info, offer.cache
    if (blob := offer.blob) is not None:
        _receive(replace(blob, size=_contents_size(offer)), _HEADER, offer, store.receive, progress)
        return
    parts = pull_tree.parts_of(info, cache)
    if parts is not None:
        hold = store.receive if store.streamer is None else store.streamer.hold
        here = store.keep(one.store_path for one, _ in parts.blobs)
        lacking = [(one, at) for one, at in parts.blobs if one.store_path not in here]
        lacking.sort(key=lambda place: -place[0].size)
        all_side_by_side([partial(_receive, one, at, offer, hold, progress) for one, at in lacking], AT_ONCE)
        pull_tree.make(parts, info, store, QUIET)
        return
    child = progress.child(info.store_path.name, info.nar_size)
    try:
        store.add_object(info, _counted(cache.nar(info), child), trusted_keys=trusted_keys)
    finally:
        child.finish()


def _receive(blob: Blob, at: int, offer: Offer, hold: _Hold, progress: Progress) -> None:
    """Have the file that begins ``at`` bytes into a NAR, proved by its sha256."""
    with hold(blob) as reception:
        if reception is not None:
            child = progress.child(blob.name, blob.size)
            try:
                offer.cache.receive(offer.info, at, blob.size, reception, child)
                reception.finish()
            finally:
                child.finish()


def _counted(chunks: Iterable[bytes | memoryview], progress: Progress) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        yield chunk
        progress.advance(len(chunk))


def _contents_size(offer: Offer) -> int:
    """Bytes of the file in a flat object's NAR, which rounds its own size up. Raises IntegrityError."""
    header = offer.cache.nar_part(offer.info, 0, _HEADER)
    size = int.from_bytes(header[-8:], "little")
    if header != nar.file_header(size) or nar.file_size(size) != offer.info.nar_size:
        raise IntegrityError(
            f"{offer.info.store_path} arrived with other bytes than it must have\n"
            f"  {offer.cache.name}: expected the NAR of one plain file of its size, found something else"
        )
    return size
