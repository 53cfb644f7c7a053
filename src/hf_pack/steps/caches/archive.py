"""Archive: packages and all that they refer to as one file, a whole binary cache in a tar.

The same packages give the same bytes. Unpacked anywhere it is a cache that stock Nix reads, and hf-pack reads it as it
is. What is small stands first, then the NARs, as they are, by their hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType

from hf_pack.errors import PolicyError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.oci.tar_layer import END, file_header, padding
from hf_pack.formats.signing import SecretKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.model.published import Published, format_index, index_key, signature_key
from hf_pack.ports import Progress, Readable, Store
from hf_pack.steps.caches.hash_beside import HashBeside
from hf_pack.steps.caches.outgoing_nar import OutgoingNar
from hf_pack.steps.caches.publish import CACHE_INFO, require_provable
from hf_pack.steps.stored.cache_narinfo import narinfo_key, narinfo_of
from hf_pack.steps.stored.closure import closure
from hf_pack.steps.stored.describe import describe, is_package


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What was written: size in bytes and sha256 of the file. ``entries`` are those of its index by name.

    ``bytes_written`` is less than the size where an interrupted run had begun the file. ``seconds`` is wall clock.
    """

    store_paths: tuple[StorePath, ...]
    entries: tuple[Published, ...]
    objects: int
    size: int
    sha256: Hash
    bytes_written: int
    seconds: float


def archive(
    store_paths: Iterable[StorePath],
    store: Store,
    keys: Sequence[SecretKey],
    write: Callable[[Readable, Progress], int],
    progress: Progress,
    *,
    bundles: Mapping[StorePath, bytes] = MappingProxyType({}),
) -> Archived:
    """Have ``write`` make a file of these valid objects with all that they refer to, each object once.

    ``bundles`` are model signatures of the packages, which stand beside their entries. ``write`` returns the bytes that
    it wrote. Every byte is proven on its way: of an object that is damaged here no archive is made. Raises StoreError,
    IntegrityError, PolicyError for two contents of one version, and what ``write`` raises.
    """
    started = time.monotonic()
    wanted = tuple(dict.fromkeys(store_paths))
    with store.session():
        store.keep(wanted)
        objects: dict[StorePath, PathInfo] = {}
        entries: list[Published] = []
        for store_path in wanted:
            found = closure(store_path, store)
            require_provable(found, keys)
            objects |= {info.store_path: info for info in found}
            if is_package(store_path, store):
                entries.append(describe(found[-1], sum(info.nar_size for info in found), store).signed_by(keys))
        _refuse_second_content(entries)
        signatures = {signature_key(store_path): bundle for store_path, bundle in bundles.items()}
        small = _small(objects.values(), entries, keys, signatures)
        contents = _TarOfCache({**small, **_nars(objects.values(), store)})
        progress.start("export", contents.size)
        try:
            written = write(contents, progress)
        finally:
            progress.finish()
    return Archived(
        store_paths=wanted,
        entries=tuple(entries),
        objects=len(objects),
        size=contents.size,
        sha256=contents.sha256,
        bytes_written=written,
        seconds=time.monotonic() - started,
    )


def _refuse_second_content(entries: Iterable[Published]) -> None:
    known: dict[tuple[str, str], Published] = {}
    for entry in entries:
        other = known.setdefault((entry.pname, entry.version), entry)
        if other.store_path != entry.store_path:
            raise PolicyError(
                f"{entry.pname}@{entry.version} would name two contents in one archive\n"
                f"  {other.store_path}\n  {entry.store_path}",
                hint="a version never changes what it names: hf-pack bump, build, and export that",
            )


def _small(
    objects: Iterable[PathInfo],
    entries: Sequence[Published],
    keys: Sequence[SecretKey],
    signatures: Mapping[str, bytes],
) -> dict[str, bytes]:
    """The cache without its NARs, in order."""
    narinfos = {
        narinfo_key(info.store_path): narinfo_of(
            info, keys, url=_nar_key(info), compression="none", file_hash=info.nar_hash, file_size=info.nar_size
        )
        .format()
        .encode()
        for info in objects
    }
    index = {entry.key: entry.format() for entry in entries}
    for pname in {entry.pname for entry in entries}:
        index[index_key(pname)] = format_index(entry for entry in entries if entry.pname == pname)
    if entries:
        index[index_key()] = format_index(entries)
    return {"nix-cache-info": CACHE_INFO.format().encode(), **dict(sorted({**narinfos, **index, **signatures}.items()))}


def _nars(objects: Iterable[PathInfo], store: Store) -> dict[str, OutgoingNar]:
    """Those of the same bytes, of one file under two names, once."""
    by_key = {_nar_key(info): info for info in objects}
    never = Event()
    return {key: OutgoingNar(store.nar(info.store_path), info, never) for key, info in sorted(by_key.items())}


def _nar_key(info: PathInfo) -> str:
    return f"nar/{info.nar_hash.nix32()}.nar"


class _TarOfCache:
    """Implements :class:`hf_pack.ports.Readable` for the whole, in order; its sha256 is known after that."""

    def __init__(self, members: Mapping[str, bytes | OutgoingNar]) -> None:
        self._members = members
        self._digest = b""
        sizes = {key: _size(member) for key, member in members.items()}
        around = sum(len(file_header(key, size)) + len(padding(size)) for key, size in sizes.items())
        self.size = sum(sizes.values()) + around + len(END)

    @property
    def sha256(self) -> Hash:
        """Of the file, after it was read."""
        return Hash(HashAlgorithm.SHA256, self._digest)

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """See :class:`hf_pack.ports.Readable`; only of the whole."""
        assert (offset, size) == (0, self.size)
        hasher = HashBeside(self.size)
        try:
            for chunk in self._chunks():
                hasher.update(chunk)
                yield chunk
            self._digest = hasher.digest()
        finally:
            hasher.close()

    def _chunks(self) -> Iterator[bytes]:
        for key, member in self._members.items():
            size = _size(member)
            yield file_header(key, size)
            if isinstance(member, bytes):
                yield member
            else:
                yield from map(bytes, member.chunks(0, size))
            yield padding(size)
        yield END


def _size(member: bytes | OutgoingNar) -> int:
    return len(member) if isinstance(member, bytes) else member.size
