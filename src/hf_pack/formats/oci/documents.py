"""The JSON documents of an OCI registry: descriptors, image manifests, image indexes (image-spec 1.1).

What is written is canonical (keys in the order of the specification's own types, no white space): equal packages have
equal digests, and tools that write a document anew write the same bytes. What is read is a stranger's: bounded, and
every field that is used is checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hf_pack.formats.format_error import FormatError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = (INDEX, DOCKER_INDEX)
MANIFESTS = (MANIFEST, DOCKER_MANIFEST)

MOST_DOCUMENT = 4 << 20  #: bytes; what registries take for a manifest (distribution-spec, "Pushing Manifests")
_MOST_ITEMS = 100_000
_MOST_DEPTH = 32
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(data: bytes) -> str:
    """``sha256:<64 hex digits>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    """Whether it is a sha256 digest as registries write it; no other algorithm is read here."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What one document says of another, or of a blob. ``size`` is in bytes, ``platform`` is ``os/architecture``."""

    media_type: str
    digest: str
    size: int
    platform: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Its JSON."""
        os, _, architecture = (self.platform or "").partition("/")
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            **({"annotations": dict(sorted(self.annotations.items()))} if self.annotations else {}),
            **({"platform": {"architecture": architecture, "os": os}} if self.platform else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image manifest, which describes an artifact, too."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def format(self) -> bytes:
        """Its bytes."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                **({"artifactType": self.artifact_type} if self.artifact_type else {}),
                "config": self.config.document(),
                "layers": [layer.document() for layer in self.layers],
                **({"annotations": dict(sorted(self.annotations.items()))} if self.annotations else {}),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Several manifests under one name."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def format(self) -> bytes:
        """Its bytes."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [one.document() for one in self.manifests],
                **({"annotations": dict(sorted(self.annotations.items()))} if self.annotations else {}),
            }
        )


def image_config(architecture: str, diff_ids: Sequence[str]) -> bytes:
    """The configuration of a Linux image that runs nothing; ``diff_ids`` are its layers' digests, uncompressed."""
    return _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
    )


def parse_manifest(data: bytes) -> Manifest:
    """An image manifest. Raises FormatError."""
    document = _document(data)
    artifact_type = document.get("artifactType")
    return Manifest(
        config=_descriptor(document.get("config"), "config"),
        layers=_descriptors(document.get("layers"), "layers"),
        artifact_type=artifact_type if isinstance(artifact_type, str) else None,
        annotations=_annotations(document.get("annotations"), "annotations"),
    )


def parse_index(data: bytes) -> Index:
    """An image index. Raises FormatError."""
    document = _document(data)
    return Index(
        manifests=_descriptors(document.get("manifests"), "manifests"),
        annotations=_annotations(document.get("annotations"), "annotations"),
    )


def parse_layout(data: bytes) -> None:
    """The file ``oci-layout``. Raises FormatError for a version that is not read here."""
    version = _document(data, has_schema=False).get("imageLayoutVersion")
    if version != "1.0.0":
        raise FormatError(f"imageLayoutVersion: expected 1.0.0, found {version!r}")


def parse_json(data: bytes) -> object:
    """Any JSON that has one meaning: no key twice, not nested without end. Raises FormatError."""
    try:
        value: object = json.loads(data.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {str(error).splitlines()[0][:200]}") from None
    if _depth(value) > _MOST_DEPTH:
        raise FormatError("nested without end")
    return value


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _document(data: bytes, *, has_schema: bool = True) -> dict[str, object]:
    if len(data) > MOST_DOCUMENT:
        raise FormatError(f"longer than {MOST_DOCUMENT} bytes")
    value = parse_json(data)
    if not isinstance(value, dict):
        raise FormatError("expected an object")
    if has_schema and value.get("schemaVersion") != 2:
        raise FormatError(f"schemaVersion: expected 2, found {value.get('schemaVersion')!r}")
    return value


def _descriptors(value: object, place: str) -> tuple[Descriptor, ...]:
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        raise FormatError(f"{place}: expected a list")
    return tuple(_descriptor(one, f"{place}[{number}]") for number, one in enumerate(value))


def _descriptor(value: object, place: str) -> Descriptor:
    if not isinstance(value, dict):
        raise FormatError(f"{place}: expected an object")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str) or len(media_type) > 255:
        raise FormatError(f"{place}.mediaType: expected a text")
    if not isinstance(digest, str) or not is_digest(digest):
        raise FormatError(f"{place}.digest: expected sha256:…, found {digest!r}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise FormatError(f"{place}.size: expected a number of bytes, found {size!r}")
    platform = value.get("platform")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        platform=f"{platform.get('os')}/{platform.get('architecture')}" if isinstance(platform, dict) else None,
        annotations=_annotations(value.get("annotations"), f"{place}.annotations"),
    )


def _annotations(value: object, place: str) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise FormatError(f"{place}: expected texts by key")
    return value


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return result


def _depth(value: object) -> int:
    level, depth = [value], 0
    while level and depth <= _MOST_DEPTH:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth
