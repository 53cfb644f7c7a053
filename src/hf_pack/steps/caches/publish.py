"""Publish: a package and all that it refers to into a binary cache, what is missing alone.

The order is that nothing refers to what is not there: each NAR before its narinfo, blobs before the tree, the tree
before its entry in the index by name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

from hf_pack.errors import HubError, PolicyError
from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.model.published import Published, signature_key
from hf_pack.ports import NarPacker, ObjectStorage, Progress, Store
from hf_pack.side_by_side import all_side_by_side
from hf_pack.steps.caches.outgoing_nar import OutgoingNar
from hf_pack.steps.caches.published_index import refuse_second_content, write_entry, write_index
from hf_pack.steps.quiet import QUIET
from hf_pack.steps.stored.cache_narinfo import narinfo_key, narinfo_of, signed
from hf_pack.steps.stored.closure import closure
from hf_pack.steps.stored.describe import describe, is_package

CACHE_INFO = CacheInfo(want_mass_query=True, priority=40)
_ASKED_AT_ONCE = 16
_SENT_AT_ONCE = 4
_SUFFIXES = {"none": "", "zstd": ".zst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What publishing cost. ``entry`` is None for an object that is no package, which has no name.

    ``bytes_sent`` are of NARs as the cache keeps them. ``seconds`` is wall-clock time.
    """

    store_path: StorePath
    cache: str
    entry: Published | None
    objects: int
    objects_sent: int
    bytes_sent: int
    closure_size: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Shipment:
    """The parties to it."""

    store: Store
    storage: ObjectStorage
    packer: NarPacker
    keys: Sequence[SecretKey]
    stop: Event


def publish(
    store_path: StorePath,
    store: Store,
    storage: ObjectStorage,
    packer: NarPacker,
    keys: Sequence[SecretKey],
    progress: Progress,
    *,
    bundle: bytes | None = None,
) -> Shipped:
    """Send what the cache lacks of a valid object's closure, and give a package its entry in the index.

    ``bundle`` is the package's model signature, which stands beside the entry.

    One request an object tells what is there. Every byte is proven while it is sent: of an object that is damaged here
    the cache gets no narinfo. Raises StoreError, IntegrityError, HubError, PolicyError for a version that names
    another content there.
    """
    started = time.monotonic()
    shipment = _Shipment(store=store, storage=storage, packer=packer, keys=keys, stop=Event())
    with store.session():
        store.keep([store_path])
        found = closure(store_path, store)
        require_provable(found, keys)
        closure_size = sum(info.nar_size for info in found)
        entry = describe(found[-1], closure_size, store) if is_package(store_path, store) else None
        if entry is not None:
            refuse_second_content(entry, storage)
        _require_cache(storage)
        known = all_side_by_side([partial(_narinfo_there, info, storage) for info in found], _ASKED_AT_ONCE)
        missing = [info for info, narinfo in zip(found, known, strict=True) if narinfo is None]
        for narinfo in known:
            if narinfo is not None:
                _sign_there(narinfo, shipment)
        progress.start("publish", sum(info.nar_size for info in missing))
        try:
            # The largest first, so that none is left to be sent alone; what others refer to before them.
            leaves = sorted((info for info in missing if not info.references), key=lambda info: -info.nar_size)
            sent = all_side_by_side(
                [partial(_send, info, shipment, progress) for info in leaves], _SENT_AT_ONCE, [shipment.stop.set]
            )
            sent += [_send(info, shipment, progress) for info in missing if info.references]
        finally:
            progress.finish()
        if bundle is not None:
            storage.put(signature_key(store_path), bundle)
        if entry is not None:
            entry = write_entry(entry.signed_by(keys), storage)
            write_index(entry, storage)
    return Shipped(
        store_path=store_path,
        cache=storage.name,
        entry=entry,
        objects=len(found),
        objects_sent=len(missing),
        bytes_sent=sum(sent),
        closure_size=closure_size,
        seconds=time.monotonic() - started,
    )


def require_provable(objects: Sequence[PathInfo], keys: Sequence[SecretKey]) -> None:
    """Raises PolicyError for an object that nobody would take: without a content address, and not to be signed."""
    for info in objects:
        if info.content_address is None and not keys and not info.signatures:
            raise PolicyError(
                f"{info.store_path} is not recorded as content-addressed: it is taken only with a signature",
                hint="sign it with --sign KEYFILE, or build it anew in another store",
            )


def _require_cache(storage: ObjectStorage) -> None:
    """Make it a cache. Raises HubError when it is one for another store directory."""
    text = storage.small("nix-cache-info")
    if text is None:
        storage.put("nix-cache-info", CACHE_INFO.format().encode(), replace=False)
        return
    try:
        store_dir = CacheInfo.parse(text.decode(errors="replace")).store_dir
    except FormatError as error:
        raise HubError(f"{storage.name}: nix-cache-info is damaged: {error}") from None
    if store_dir != STORE_DIR:
        raise HubError(
            f"{storage.name} is a cache of another store directory\n"
            f"  nix-cache-info: StoreDir: expected {STORE_DIR}, found {store_dir}"
        )


def _narinfo_there(info: PathInfo, storage: ObjectStorage) -> NarInfo | None:
    """The cache's narinfo of an object; None when it has none, or one that is damaged or of other bytes."""
    text = storage.small(narinfo_key(info.store_path))
    try:
        narinfo = None if text is None else NarInfo.parse(text.decode(errors="replace"))
    except FormatError:
        return None
    if narinfo is None or (narinfo.store_path, narinfo.nar_hash) != (info.store_path, info.nar_hash):
        return None
    return narinfo


def _sign_there(narinfo: NarInfo, shipment: _Shipment) -> None:
    """Give a narinfo that is there the signatures which it lacks."""
    complete = signed(narinfo, shipment.keys)
    if complete != narinfo:
        shipment.storage.put(narinfo_key(narinfo.store_path), complete.format().encode())


def _send(info: PathInfo, shipment: _Shipment, progress: Progress) -> int:
    """Send one object; returns the bytes of it that were sent."""
    storage = shipment.storage
    nar = OutgoingNar(shipment.store.nar(info.store_path), info, shipment.stop)
    # A self-contained package's expression, as it is exported, fetches this file by the hash of the NAR.
    rather_plain = not info.references and (info.content_address or "").startswith("fixed:r:")
    with shipment.packer.packed(nar, info.nar_hash, progress, rather_plain=rather_plain) as packed:
        key = f"nar/{packed.file_hash.nix32()}.nar{_SUFFIXES[packed.compression]}"
        size = packed.contents.size
        reports = progress if packed.compression == "none" else QUIET
        if storage.size_of(key) == size:  # a publisher that was killed, or another one, brought it
            reports.advance(size)
            sent = 0
        else:
            sent = storage.upload(key, packed.contents, reports)
        narinfo = narinfo_of(
            info, shipment.keys, url=key, compression=packed.compression, file_hash=packed.file_hash, file_size=size
        )
    storage.put(narinfo_key(info.store_path), narinfo.format().encode())
    return sent
