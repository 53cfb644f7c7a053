"""A package as layers and annotations, and back: the same plan, in both shapes and all layouts."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.sample_package import FILES as SAMPLE
from tests.sample_package import META, plan

from hf_pack.expressions import model_pack, oci_package
from hf_pack.expressions.oci_package import (
    PackedFile,
    annotations_of,
    image_layers,
    packed_files,
    plan_of,
    read_package,
)
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.oci import tar_layer
from hf_pack.formats.oci.documents import Descriptor, Manifest, digest_of
from hf_pack.formats.store_path import StorePath, recursive_path
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.plan import Plan

BYTES = {Hash.sha256_of(contents): contents for contents in SAMPLE.values()}
EVERY = [(layout, storage) for layout in Layout for storage in Storage]


def descriptor(data: bytes, media_type: str = "application/vnd.oci.image.layer.v1.tar") -> Descriptor:
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))


def store_path_of(made: Plan) -> StorePath:
    return made.store_path() or recursive_path(made.name, Hash.sha256_of(b"a self-contained tree's NAR"))


def written(pieces: Sequence[bytes | Blob]) -> bytes:
    return b"".join(BYTES[piece.sha256] if isinstance(piece, Blob) else piece for piece in pieces)


def image_of(made: Plan) -> tuple[Manifest, list[bytes]]:
    layers = image_layers(made)
    data = [oci_package.tree_layer(made), *(written(layer.pieces) for layer in layers)]
    numbered: dict[int, Sequence[PackedFile]] = {number: layer.files for number, layer in enumerate(layers, 1)}
    annotations = annotations_of(store_path_of(made), made.storage, 0, numbered)
    manifest = Manifest(config=descriptor(b"{}"), layers=tuple(map(descriptor, data)), annotations=annotations)
    return manifest, data


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_an_image_is_read_back_as_the_plan(layout: Layout, storage: Storage) -> None:
    made = plan(layout, storage)
    manifest, data = image_of(made)
    package = read_package(manifest)
    assert package is not None and (package.store_path, package.storage) == (store_path_of(made), storage)
    members = tar_layer.read_archive(data[0])
    at_home = {path: member for path, member in members.items() if path not in {file.path for file in package.files}}
    assert plan_of(package, at_home) == made
    by_digest = {layer.digest: contents for layer, contents in zip(manifest.layers, data, strict=True)}
    for blob, place in package.places.items():
        assert by_digest[place.digest][place.offset : place.offset + blob.size] == BYTES[blob.sha256]


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_the_layers_unpack_to_the_whole_tree(layout: Layout, storage: Storage) -> None:
    made = plan(layout, storage)
    _, data = image_of(made)
    for layer, weights in zip(image_layers(made), data[1:], strict=True):
        assert layer.size == len(weights)
    names: set[str] = set()
    for contents in data:
        with tarfile.open(fileobj=io.BytesIO(contents)) as opened:
            names.update(name.removesuffix("/") for name in opened.getnames())
    assert {entry.path for entry in made.entries} <= names


def test_a_weight_of_a_linked_package_is_in_the_hubs_own_blobs() -> None:
    made = plan(Layout.DUAL, Storage.LINKED)
    (first, *_) = packed_files(made)
    assert oci_package.image_path(first, Storage.LINKED).endswith(f"/blobs/{first.blob.sha256.hex()}")
    assert oci_package.image_path(first, Storage.SELF_CONTAINED) == first.path


def test_raw_layers_are_the_files_themselves() -> None:
    made = plan(Layout.DUAL, Storage.LINKED)
    files = packed_files(made)
    layers = (descriptor(b"tree"), *(descriptor(BYTES[file.blob.sha256]) for file in files))
    numbered: dict[int, Sequence[PackedFile]] = {number: [file] for number, file in enumerate(files, 1)}
    annotations = annotations_of(store_path_of(made), made.storage, 0, numbered)
    package = read_package(Manifest(config=descriptor(b"{}"), layers=layers, annotations=annotations))
    assert package is not None
    assert {place.offset for place in package.places.values()} == {0}
    assert {place.digest for place in package.places.values()} == {f"sha256:{file.blob.sha256.hex()}" for file in files}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (oci_package.STORAGE, "sideways", "linked or self-contained"),
        (oci_package.TREE, "99", "number of a layer"),
        (oci_package.FILES, '[[99, "a.safetensors", 1, "' + "0" * 64 + '"]]', "no layer 99"),
        (oci_package.FILES, '[[1, "../a", 1, "' + "0" * 64 + '"]]', "inside the layer"),
        (oci_package.FILES, '[[1, "a", -1, "' + "0" * 64 + '"]]', "expected"),
        (oci_package.FILES, "{}", "expected"),
        (oci_package.STORE_PATH, "/nix/store/short", ""),
    ],
)
def test_annotations_that_do_not_hold_are_refused(key: str, value: str, said: str) -> None:
    manifest, _ = image_of(plan(Layout.DUAL, Storage.LINKED))
    with pytest.raises(FormatError, match=said):
        read_package(replace(manifest, annotations={**manifest.annotations, key: value}))


def test_layers_that_a_copier_compressed_are_refused() -> None:
    manifest, _ = image_of(plan(Layout.DUAL, Storage.LINKED))
    layers = tuple(replace(layer, media_type=f"{layer.media_type}+gzip") for layer in manifest.layers)
    with pytest.raises(FormatError, match="preserve-digests"):
        read_package(replace(manifest, layers=layers))


def test_an_image_that_is_no_package_is_none() -> None:
    assert read_package(Manifest(config=descriptor(b"{}"), layers=())) is None


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_the_artifact_says_what_the_package_says(layout: Layout, storage: Storage) -> None:
    made = plan(layout, storage)
    facts = model_pack.facts_of(made)
    assert facts is not None
    files = model_pack.model_files(made)
    assert {file.path for file in files} == set(SAMPLE)
    kinds = {file.path: file.media_type.split(".")[-3] for file in files}
    assert all(kinds[path] == "weight" for path in SAMPLE if path.endswith(".safetensors"))
    assert all(kinds[path] == "doc" for path in SAMPLE if path in ("README.md", "LICENSE"))
    weights = tuple(file for file in files if file.path.endswith(".safetensors"))
    document = json.loads(model_pack.model_config(facts, weights, ("sha256:" + "0" * 64,)))
    assert document["descriptor"]["version"] == facts.version == META.version("1.0.0")
    assert document["config"] == {"format": "safetensors"}
    assert document["modelfs"]["diffIds"] == ["sha256:" + "0" * 64]
    annotations = model_pack.file_annotations(files[0].path, 7)
    metadata = json.loads(annotations[model_pack.FILE_METADATA])
    assert (annotations[model_pack.FILE_PATH], metadata["size"], metadata["mode"]) == (files[0].path, 7, 0o444)


def test_a_tree_that_is_no_package_has_no_facts() -> None:
    assert model_pack.facts_of(Plan(name="x", storage=Storage.LINKED, entries=())) is None
