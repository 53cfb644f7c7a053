"""A package in a registry: which layers an image and a ModelPack artifact of it have, and the package that they hold.

Both hold the same tree: the small files and links of the package as one tar, the same bytes for both. The weights are
raw layers in the artifact, whose digests are the files' own sha256, and tar layers around them in the image.
The manifests say which files of the tree those are, so that either alone gives the very store objects back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.oci import tar_layer
from hf_pack.formats.oci.documents import Descriptor, Manifest, parse_json
from hf_pack.formats.oci.tar_layer import TarDirectory, TarLink, TarMember
from hf_pack.formats.store_path import StorePath, sanitize_name
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Storage
from hf_pack.model.plan import Entry, Plan, RegularFile, Symlink

STORE_PATH = "hf-pack.store-path"
STORAGE = "hf-pack.storage"
FILES = "hf-pack.files"
TREE = "hf-pack.tree"

#: An image may not have layers without end: Docker stops at 127, and overlayfs at a page of mount options.
MOST_WEIGHT_LAYERS = 100

_SNAPSHOT = re.compile(r"(share/models/hub/[^/]+)/(snapshots/[^/]+/.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """A weight of the package: where the tree has it, and its bytes."""

    path: str
    blob: Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """A tar layer with weights, mostly one."""

    files: tuple[PackedFile, ...]
    storage: Storage

    @property
    def pieces(self) -> tuple[bytes | Blob, ...]:
        """What the layer is, in order."""
        pieces: list[bytes | Blob] = []
        for path, blob in self._members().items():
            pieces += [tar_layer.file_header(path, blob.size), blob, tar_layer.padding(blob.size)]
        return (*pieces, tar_layer.END)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.size if isinstance(piece, Blob) else len(piece) for piece in self.pieces)

    @property
    def key(self) -> str:
        """Equal layers, and only those, have equal keys: the digest can be remembered by it."""
        return json.dumps([[path, blob.size, blob.sha256.hex()] for path, blob in self._members().items()])

    def offsets(self) -> dict[Blob, int]:
        """Where each blob's bytes begin in the layer."""
        found: dict[Blob, int] = {}
        position = 0
        for piece in self.pieces:
            if isinstance(piece, Blob):
                found.setdefault(piece, position)
            position += piece.size if isinstance(piece, Blob) else len(piece)
        by_bytes = {(blob.sha256, blob.size): offset for blob, offset in found.items()}
        return {file.blob: by_bytes[file.blob.sha256, file.blob.size] for file in self.files}

    def _members(self) -> dict[str, Blob]:
        return {image_path(file, self.storage): file.blob for file in self.files}


def image_path(file: PackedFile, storage: Storage) -> str:
    """Where a weight lies in the image.

    Of a linked package with a Hub cache in the cache's own ``blobs/``, named by its sha256: the layer stays the same
    whatever snapshots come. Else at its place in the tree.
    """
    found = _SNAPSHOT.fullmatch(file.path)
    if found is None or storage is Storage.SELF_CONTAINED:
        return file.path
    return f"{found[1]}/blobs/{file.blob.sha256.hex()}"


def packed_files(plan: Plan) -> tuple[PackedFile, ...]:
    """The weights of the tree, in the order of their paths."""
    return tuple(
        PackedFile(path=entry.path, blob=blob)
        for entry in plan.entries
        if isinstance(blob := entry.blob if isinstance(entry, Symlink) else entry.contents, Blob)
    )


def image_layers(plan: Plan) -> tuple[ImageLayer, ...]:
    """One a weight; of more than 100 of them, neighbours share one. A weight that the tree has twice is there once."""
    by_place: dict[str, list[PackedFile]] = {}
    for file in packed_files(plan):
        by_place.setdefault(image_path(file, plan.storage), []).append(file)
    places = list(by_place.values())
    at_once = -(-len(places) // MOST_WEIGHT_LAYERS) or 1
    return tuple(
        ImageLayer(
            files=tuple(file for place in places[start : start + at_once] for file in place), storage=plan.storage
        )
        for start in range(0, len(places), at_once)
    )


def tree_layer(plan: Plan) -> bytes:
    """The tree without its weights: directories, small files, links. A weight that lies elsewhere has its link here."""
    members: dict[str, TarMember] = {}
    for entry in plan.entries:
        blob = entry.blob if isinstance(entry, Symlink) else entry.contents
        if isinstance(blob, Blob):
            file = PackedFile(path=entry.path, blob=blob)
            place = image_path(file, plan.storage)
            _add_parents(place, members)
            if place != entry.path:
                members[entry.path] = TarLink(_relative(entry.path, place))
        elif isinstance(entry, Symlink):
            members[entry.path] = TarLink(entry.target)
        elif isinstance(blob, bytes):
            members[entry.path] = blob
        _add_parents(entry.path, members)
    return tar_layer.archive(members)


def annotations_of(
    store_path: StorePath, storage: Storage, tree: int, layers: Mapping[int, Sequence[PackedFile]]
) -> dict[str, str]:
    """What a manifest says of the package: which of its layers is the tree, and which weights are in which.

    The layers themselves do not say it: tools that copy images lose layers' annotations.
    """
    rows = [
        [number, file.path, file.blob.size, file.blob.sha256.hex()]
        for number, files in sorted(layers.items())
        for file in files
    ]
    return {
        STORE_PATH: str(store_path),
        STORAGE: storage.value,
        TREE: str(tree),
        FILES: json.dumps(rows, separators=(",", ":"), ensure_ascii=False),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPlace:
    """Where a blob's bytes are: ``offset`` bytes into a layer."""

    digest: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedPackage:
    """A package as a manifest describes it; nothing of it is proved yet."""

    store_path: StorePath
    storage: Storage
    tree: Descriptor
    files: tuple[PackedFile, ...]
    places: Mapping[Blob, BlobPlace]


def read_package(manifest: Manifest) -> ShippedPackage | None:
    """The package in an image or artifact; None when it is none of ours. Raises FormatError."""
    if STORE_PATH not in manifest.annotations:
        return None
    try:
        storage = Storage(manifest.annotations.get(STORAGE, ""))
    except ValueError:
        raise FormatError(f"{STORAGE}: expected linked or self-contained") from None
    layers = dict(enumerate(manifest.layers))
    by_number = {str(number): layer for number, layer in layers.items()}
    tree = by_number.get(manifest.annotations.get(TREE, ""))
    if tree is None:
        raise FormatError(f"{TREE}: expected the number of a layer")
    files = _files(manifest.annotations.get(FILES, ""))
    if missing := files.keys() - layers.keys():
        raise FormatError(f"{FILES}: there is no layer {min(missing)}")
    if any(layer.media_type.endswith(("gzip", "zstd")) for layer in (tree, *(layers[number] for number in files))):
        raise FormatError("its layers were compressed by whoever copied it: `skopeo copy --preserve-digests` does not")
    places: dict[Blob, BlobPlace] = {}
    for number, here in files.items():
        digest = layers[number].digest
        if digest == f"sha256:{here[0].blob.sha256.hex()}":  # tools that copy images lose media types, too
            places |= {file.blob: BlobPlace(digest=digest, offset=0) for file in here}
        else:
            offsets = ImageLayer(files=tuple(here), storage=storage).offsets()
            places |= {blob: BlobPlace(digest=digest, offset=offset) for blob, offset in offsets.items()}
    return ShippedPackage(
        store_path=StorePath.parse(manifest.annotations[STORE_PATH]),
        storage=storage,
        tree=tree,
        files=tuple(file for here in files.values() for file in here),
        places=places,
    )


def plan_of(package: ShippedPackage, members: Mapping[str, TarMember]) -> Plan:
    """The plan of the tree that the layer ``members`` and the weights make. Raises FormatError.

    Whether it is the package's own tells its store path.
    """
    entries: dict[str, Entry] = {}
    for path, member in members.items():
        match member:
            case TarDirectory():
                pass
            case TarLink(target):
                entries[path] = Symlink(path=path, target=target)
            case bytes():
                entries[path] = RegularFile(path=path, contents=member)
    for file in package.files:
        tar_layer.checked_path(file.path)
        if package.storage is Storage.SELF_CONTAINED:
            entries[file.path] = RegularFile(path=file.path, contents=file.blob)
        else:
            up = "../" * (file.path.count("/") + 1)
            entries[file.path] = Symlink(path=file.path, target=up + file.blob.store_path.base_name, blob=file.blob)
    plan = Plan(
        name=package.store_path.name,
        storage=package.storage,
        entries=tuple(sorted(entries.values(), key=lambda entry: entry.path)),
    )
    try:
        plan.nar_tree(lambda _blob: ())
    except ValueError as error:  # FormatError among them
        raise FormatError(str(error)) from None
    return plan


def _files(text: str) -> dict[int, list[PackedFile]]:
    """The weights by the number of their layer."""
    rows = parse_json(text.encode())
    found: dict[int, list[PackedFile]] = {}
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [int() as number, str() as path, int() as size, str() as sha256] if 0 <= size < 2**63:
                name = sanitize_name(tar_layer.checked_path(path).rsplit("/", 1)[-1])
                blob = Blob(name=name, sha256=Hash.from_hex(sha256), size=size)
                found.setdefault(number, []).append(PackedFile(path=path, blob=blob))
            case _:
                raise FormatError(f"{FILES}: expected [[layer, path, size, sha256], …]")
    return found


def _add_parents(path: str, members: dict[str, TarMember]) -> None:
    parts = path.split("/")[:-1]
    for depth in range(len(parts)):
        members["/".join(parts[: depth + 1])] = TarDirectory()


def _relative(path: str, target: str) -> str:
    """``target`` as a link at ``path`` says it."""
    here, there = path.split("/")[:-1], target.split("/")
    while here and there and here[0] == there[0]:
        here, there = here[1:], there[1:]
    return "/".join([".."] * len(here) + there)
