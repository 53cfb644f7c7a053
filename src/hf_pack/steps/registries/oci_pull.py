"""Pull from a registry: a package into a store, or any ModelPack artifact as a directory; every byte is proved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from hf_pack.errors import HubError, IntegrityError, UsageError
from hf_pack.expressions.model_pack import TITLE
from hf_pack.expressions.oci_package import BlobPlace, ShippedPackage, plan_of, read_package
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import (
    Descriptor,
    Manifest,
    digest_of,
    parse_index,
    parse_json,
    parse_manifest,
)
from hf_pack.formats.oci.tar_layer import read_archive
from hf_pack.formats.store_path import StorePath
from hf_pack.model.hub_ids import RepoId
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.path_info import PathInfo
from hf_pack.model.plan import Plan, RegularFile
from hf_pack.ports import Progress, Reception, Store, WantedBlob, joined
from hf_pack.ports.registry import Repository
from hf_pack.steps.building.fetch import Elsewhere, receive_all

_MOST_TREE = 512 << 20  #: bytes; of a package's small files and links
_MOST_MEMBERS = 64  #: manifests of an index that are looked at
_NOWHERE = RepoId(namespace=None, name="oci")  # a blob from a registry is known by its digest alone


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """A package that is valid in the store now, and what came of it: objects, bytes, seconds.

    Bytes that an earlier run received are not among them. ``signed`` is whether a model signature of it was checked.
    """

    info: PathInfo
    objects: int
    bytes_received: int
    seconds: float
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a reference leads to: a package of ours, or else a manifest with layers."""

    digest: str
    manifest: Manifest
    package: ShippedPackage | None

    @property
    def pname(self) -> str | None:
        """The package's name, as whoever published it says."""
        return self.manifest.annotations.get(TITLE)


def look_up(repository: Repository, reference: str) -> Found:
    """What a tag or digest names; of an index the artifact of ours, else the image, else the first manifest.

    Raises UsageError when there is nothing of the name, HubError for documents that are damaged, IntegrityError.
    """
    data = _manifest(repository, reference)
    where = f"{repository.name}:{reference}" if reference else repository.name
    problem, others = "it holds nothing that can be pulled", []
    try:
        document = parse_json(data)
        if not isinstance(document, dict) or "manifests" not in document:
            return _found(data)
        members = sorted(parse_index(data).manifests[:_MOST_MEMBERS], key=_preference)
    except FormatError as error:
        raise HubError(f"{where} cannot be read: {error}") from None
    for one in members:
        if one.platform in (None, "linux/amd64", "linux/arm64"):
            try:
                found = _found(_manifest(repository, one.digest))
            except FormatError as error:
                problem = str(error)
                continue
            if found.package is not None:
                return found
            others.append(found)
    if not others:
        raise HubError(f"{where} cannot be read: {problem}")
    return others[0]


def pull(
    found: Found, repository: Repository, store: Store, progress: Progress, *, expected: StorePath | None = None
) -> Pulled:
    """Bring the package into the store; what is there is not fetched.

    Within a session of the store, which keeps the package until the caller rooted it.

    ``expected`` refuses any other package. Raises IntegrityError when the registry's tree is not that of the store
    path that it states, or a layer has other bytes; HubError, StoreError.
    """
    started = time.monotonic()
    package = _package(found, repository, expected)
    store.keep([package.store_path])
    info = store.path_info(package.store_path)
    if info is not None and len(store.keep(info.references)) == len(set(info.references)):
        return Pulled(info=info, objects=0, bytes_received=0, seconds=time.monotonic() - started)
    plan = _plan(package, repository)
    valid = store.keep([blob.store_path for blob in plan.blobs])
    missing = [blob for blob in plan.blobs if blob.store_path not in valid]
    source = RegistryBlobs(repository, package.places)
    wanted = [WantedBlob(blob=blob, repo_id=_NOWHERE, commit_hash="", path=blob.name) for blob in missing]
    streamer = store.streamer if plan.storage is Storage.SELF_CONTAINED else None
    receive = store.receive if streamer is None else streamer.hold
    came = receive_all(wanted, Elsewhere(sources=(source,)), receive, progress)
    made = store.add_tree(plan, progress) if streamer is None else streamer.add_tree(plan, {}, progress)
    _require(package, made.info.store_path, repository)
    return Pulled(
        info=made.info,
        objects=len(missing) + 1,
        bytes_received=package.tree.size + sum(one.bytes_read for one in came),
        seconds=time.monotonic() - started,
    )


def small_files(
    found: Found, repository: Repository, *, expected: StorePath | None = None
) -> tuple[ShippedPackage, dict[str, bytes]]:
    """The package and what it has beside weights and links; that layer alone is fetched.

    Of a linked package it is proved by the store path, of a self-contained one the manifest vouches for it. Raises as
    :func:`pull` does.
    """
    package = _package(found, repository, expected)
    files = {
        entry.path: entry.contents
        for entry in _plan(package, repository).entries
        if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    }
    return package, files


@dataclass(frozen=True)
class RegistryBlobs:
    """Implements :class:`hf_pack.ports.BlobSource`: blobs that lie in layers, at places that nobody vouches for."""

    repository: Repository
    places: Mapping[Blob, BlobPlace]

    @property
    def name(self) -> str:
        """The repository's address."""
        return self.repository.name

    def fetch(self, wanted: WantedBlob, into: Reception, progress: Progress) -> bool:
        """See :class:`hf_pack.ports.BlobSource`."""
        place = self.places.get(wanted.blob)
        if place is None:
            return False
        for run in joined(into.missing):
            offset = run.offset
            for chunk in self.repository.chunks(place.digest, place.offset + run.offset, run.size):
                into.write(offset, chunk)
                progress.advance(len(chunk))
                offset += len(chunk)
        return True

    def stop(self) -> None:
        """See :class:`hf_pack.ports.BlobSource`."""
        self.repository.stop()


def _package(found: Found, repository: Repository, expected: StorePath | None) -> ShippedPackage:
    package = found.package
    if package is None:
        raise UsageError(f"{repository.name} holds no package of hf-pack", hint="--output DIR takes it as a directory")
    if expected not in (None, package.store_path):
        raise IntegrityError(
            f"{repository.name} holds another package\n  expected {expected}, found {package.store_path}"
        )
    return package


def _plan(package: ShippedPackage, repository: Repository) -> Plan:
    try:
        plan = plan_of(package, read_archive(_whole(repository, package.tree)))
    except FormatError as error:
        raise IntegrityError(f"{repository.name}: layer {package.tree.digest}: {error}") from None
    _require(package, plan.store_path(), repository)
    return plan


def _manifest(repository: Repository, reference: str) -> bytes:
    there = repository.manifest(reference)
    if there is None:
        raise UsageError(
            f"{repository.name} has no {reference or 'manifest'}", hint="the tag is the version, with _ for +"
        )
    return there[1]


def _found(data: bytes) -> Found:
    manifest = parse_manifest(data)
    return Found(digest=digest_of(data), manifest=manifest, package=read_package(manifest))


def _preference(descriptor: Descriptor) -> bool:
    return descriptor.platform is not None  # an image's


def _whole(repository: Repository, descriptor: Descriptor) -> bytes:
    """A small layer, proved."""
    if descriptor.size > _MOST_TREE:
        raise IntegrityError(f"{repository.name}: layer {descriptor.digest} is too large for small files")
    data = b"".join(bytes(chunk) for chunk in repository.chunks(descriptor.digest, 0, descriptor.size))
    if digest_of(data) != descriptor.digest:
        raise IntegrityError(
            f"{repository.name}: a layer has other bytes than its digest says\n"
            f"  expected {descriptor.digest}, found {digest_of(data)}"
        )
    return data


def _require(package: ShippedPackage, found: StorePath | None, repository: Repository) -> None:
    """``found`` is None where only the finished tree can tell."""
    if found not in (None, package.store_path):
        raise IntegrityError(
            f"{repository.name}: the package is not what its store path says\n"
            f"  expected {package.store_path}, found {found}"
        )
