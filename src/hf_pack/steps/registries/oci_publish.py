"""Publish to a registry: an image index with a ModelPack artifact and images, of which only what is missing is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from hf_pack.errors import IntegrityError, PolicyError, UsageError
from hf_pack.expressions import model_pack, oci_package
from hf_pack.expressions.oci_package import ImageLayer, PackedFile
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.documents import (
    IMAGE_CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    Descriptor,
    Index,
    Manifest,
    digest_of,
    image_config,
    parse_index,
)
from hf_pack.formats.oci.reference import tag_of_version
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import Blob
from hf_pack.model.plan import Plan
from hf_pack.ports import Progress, Readable
from hf_pack.ports.registry import LayerDigests, Repository
from hf_pack.side_by_side import all_side_by_side
from hf_pack.steps.registries.joined import Joined, size_of
from hf_pack.steps.registries.oci_signature import signature_member, signatures_among

#: Where an image runs; all hold the same layers. Weights know no processor, but who pulls asks for one.
ARCHITECTURES = ("amd64", "arm64")

MODEL_PACK_TAG = "-modelpack"  #: what the artifact's own tag ends in, for tools that read no index

_QUESTIONS_AT_ONCE = 8
_UPLOADS_AT_ONCE = 4


class Shape(StrEnum):
    """What is published: raw layers, tar layers, or both, which holds the weights twice."""

    MODELPACK = "modelpack"
    IMAGE = "image"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class PackageToShip:
    """A package of a store. ``open_blob`` gives a blob's bytes, which are proved on their way; ``bundle`` is its model
    signature."""

    store_path: StorePath
    plan: Plan
    open_blob: Callable[[Blob], Readable]
    bundle: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is in the registry now. ``manifests`` has the digests by ``modelpack``, ``linux/<architecture>`` or
    ``signature``.

    ``bytes_total`` is the size of all blobs of it, ``bytes_sent`` what of that was sent; ``uploaded`` counts blobs.
    """

    store_path: StorePath
    name: str
    tag: str
    digest: str
    manifests: Mapping[str, str]
    bytes_total: int
    bytes_sent: int
    uploaded: int


def publish(
    package: PackageToShip,
    repository: Repository,
    shape: Shape,
    digests: LayerDigests,
    progress: Progress,
    *,
    tag: str | None = None,
    tags_artifact: bool = True,
) -> Published:
    """Send what the repository lacks, then the manifests, then the index under ``tag`` (default: the version).

    Raises PolicyError, before anything is sent, when the version's tag names another content; UsageError,
    IntegrityError for a blob that is damaged here, HubError.
    """
    facts = model_pack.facts_of(package.plan)
    if facts is None:
        raise UsageError(f"{package.store_path} is no package", hint="hf-pack list")
    versions = (tag_of_version(facts.version), tag_of_version(package.store_path.name))
    tag = tag or versions[0]
    there = _index_there(repository, tag, package.store_path) if tag in versions else None
    said = {
        "org.opencontainers.image.title": facts.pname,
        "org.opencontainers.image.version": facts.version,
        **({"org.opencontainers.image.licenses": facts.licence} if facts.licence else {}),
    }
    tree = oci_package.tree_layer(package.plan)
    contents: dict[str, Readable] = {digest_of(tree): Joined((tree,))}
    members: list[tuple[str, Descriptor, bytes]] = []
    if shape is not Shape.IMAGE:
        manifest = _model_pack(package, facts, tree, said, contents)
        members.append(("modelpack", *_member(manifest)))
    if shape is not Shape.MODELPACK:
        layers, more = _image_layers(package, tree, digests, contents, progress)
        for architecture in ARCHITECTURES:
            config = image_config(architecture, [layer.digest for layer in layers])
            contents[digest_of(config)] = Joined((config,))
            image = Manifest(config=_described(IMAGE_CONFIG, config), layers=layers, annotations=said | more)
            platform = f"linux/{architecture}"
            members.append((platform, *_member(image, platform)))
    if package.bundle is not None:
        member, data, blobs = signature_member(package.bundle, package.store_path)
        contents |= {digest_of(blob): Joined((blob,)) for blob in blobs}
        members.append(("signature", member, data))
    try:
        sent, uploaded = _send(contents, repository, progress)
    except IntegrityError as error:  # of a file, by those who know no package
        raise IntegrityError(error.message, hint=f"hf-pack verify {package.store_path} --repair") from None
    for name, _, data in members:
        alias = tag + MODEL_PACK_TAG if name == "modelpack" and tags_artifact else None
        repository.put_manifest(MANIFEST, data, alias)
    said |= {oci_package.STORE_PATH: str(package.store_path)}
    listed = [descriptor for _, descriptor, _ in members]
    if package.bundle is None and there is not None:  # who publishes again need not be who signed
        listed += signatures_among(there.manifests, package.store_path)
    index = Index(manifests=tuple(listed), annotations=said).format()
    repository.put_manifest(INDEX, index, tag)
    return Published(
        store_path=package.store_path,
        name=repository.name,
        tag=tag,
        digest=digest_of(index),
        manifests={name: descriptor.digest for name, descriptor, _ in members},
        bytes_total=sum(one.size for one in contents.values()),
        bytes_sent=sent,
        uploaded=uploaded,
    )


def _index_there(repository: Repository, tag: str, store_path: StorePath) -> Index | None:
    """What a version's tag names already; None where it is free. Raises PolicyError for another content."""
    there = repository.manifest(tag)
    if there is None:
        return None
    try:
        index = parse_index(there[1])
    except FormatError:
        index = Index(manifests=())
    other = index.annotations.get(oci_package.STORE_PATH)
    if other != str(store_path):
        raise PolicyError(
            f"{repository.name}:{tag} names another content already\n"
            f"  expected {store_path}, found {other or 'something that is no package'}",
            hint="give this one a version of its own: hf-pack bump NAME -m TEXT; or name another tag",
        )
    return index


def _model_pack(
    package: PackageToShip,
    facts: model_pack.PackageFacts,
    tree: bytes,
    said: Mapping[str, str],
    contents: dict[str, Readable],
) -> Manifest:
    files = model_pack.model_files(package.plan)
    layers: list[Descriptor] = []
    weights: dict[int, list[PackedFile]] = {}
    for file in files:
        annotations = model_pack.file_annotations(file.path, size_of(file.contents))
        if isinstance(file.contents, Blob):
            digest = f"sha256:{file.contents.sha256.hex()}"
            contents[digest] = package.open_blob(file.contents)
            weights[len(layers)] = [PackedFile(path=file.tree_path, blob=file.contents)]
        else:
            digest = digest_of(file.contents)
            contents[digest] = Joined((file.contents,))
        layers.append(
            Descriptor(media_type=file.media_type, digest=digest, size=size_of(file.contents), annotations=annotations)
        )
    annotations = model_pack.file_annotations(model_pack.TREE_FILE, len(tree))
    layers.append(_described("application/vnd.cncf.model.doc.v1.raw", tree, annotations))
    about = oci_package.annotations_of(package.store_path, package.plan.storage, len(layers) - 1, weights)
    config = model_pack.model_config(facts, files, tuple(layer.digest for layer in layers))
    contents[digest_of(config)] = Joined((config,))
    return Manifest(
        artifact_type=model_pack.ARTIFACT,
        config=_described(model_pack.CONFIG, config),
        layers=tuple(layers),
        annotations={**said, **about},
    )


def _image_layers(
    package: PackageToShip,
    tree: bytes,
    digests: LayerDigests,
    contents: dict[str, Readable],
    progress: Progress,
) -> tuple[tuple[Descriptor, ...], dict[str, str]]:
    """The layers, and what a manifest says of them."""
    layers = oci_package.image_layers(package.plan)
    known = [digests.find(layer.key) for layer in layers]
    unknown = [layer for layer, digest in zip(layers, known, strict=True) if digest is None]
    if unknown:
        progress.start("hashing the image's layers", sum(layer.size for layer in unknown))
        try:
            jobs = [partial(_hashed, layer, package, digests, progress) for layer in unknown]
            found = dict(zip(unknown, all_side_by_side(jobs, _UPLOADS_AT_ONCE), strict=True))
        finally:
            progress.finish()
    described = [_described(LAYER, tree)]
    for layer, remembered in zip(layers, known, strict=True):
        digest = remembered or found[layer]
        contents[digest] = _opened(layer, package)
        described.append(Descriptor(media_type=LAYER, digest=digest, size=layer.size))
    weights = {number: layer.files for number, layer in enumerate(layers, start=1)}
    return tuple(described), oci_package.annotations_of(package.store_path, package.plan.storage, 0, weights)


def _hashed(layer: ImageLayer, package: PackageToShip, digests: LayerDigests, progress: Progress) -> str:
    """The layer's digest, and in the same pass the proof of what is in it."""
    whole = hashlib.sha256()
    for piece in layer.pieces:
        if isinstance(piece, bytes):
            whole.update(piece)
            progress.advance(len(piece))
            continue
        inner = hashlib.sha256()
        for chunk in package.open_blob(piece).chunks(0, piece.size):
            whole.update(chunk)
            inner.update(chunk)
            progress.advance(len(chunk))
        if inner.digest() != piece.sha256.digest:
            raise IntegrityError(
                f"a file of {package.store_path} is damaged\n"
                f"  {piece.name}: expected sha256 {piece.sha256.hex()}, found {inner.hexdigest()}",
                hint=f"hf-pack verify {package.store_path} --repair",
            )
    digest = f"sha256:{whole.hexdigest()}"
    digests.remember(layer.key, digest)
    return digest


def _opened(layer: ImageLayer, package: PackageToShip) -> Joined:
    return Joined(tuple(package.open_blob(piece) if isinstance(piece, Blob) else piece for piece in layer.pieces))


def _send(contents: Mapping[str, Readable], repository: Repository, progress: Progress) -> tuple[int, int]:
    """Bytes and blobs that were sent."""
    questions = [partial(repository.has, digest) for digest in contents]
    there = all_side_by_side(questions, _QUESTIONS_AT_ONCE, [repository.stop])
    missing = [(digest, one) for (digest, one), has in zip(contents.items(), there, strict=True) if not has]
    missing.sort(key=lambda item: -item[1].size)
    progress.start("publish", sum(one.size for _, one in missing))
    try:
        jobs = [partial(repository.upload, digest, one, progress) for digest, one in missing]
        sent = all_side_by_side(jobs, _UPLOADS_AT_ONCE, [repository.stop])
        return sum(sent), sum(map(bool, sent))
    finally:
        progress.finish()


def _described(media_type: str, data: bytes, annotations: Mapping[str, str] | None = None) -> Descriptor:
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data), annotations=annotations or {})


def _member(manifest: Manifest, platform: str | None = None) -> tuple[Descriptor, bytes]:
    data = manifest.format()
    return replace(_described(MANIFEST, data), platform=platform), data
