"""The JSON that an exported expression reads."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

import pytest
from tests import sample_package

from hf_pack.expressions.package_document import beside, package_document, quoted
from hf_pack.expressions.package_meta import package_meta
from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import SnapshotKind
from hf_pack.model.lock import LockedFile
from hf_pack.model.manifest import Layout, Storage

HASH = Hash.sha256_of(b"")
LARGE = b"patched" * 200_000


def test_a_linked_package() -> None:
    lock = sample_package.lock()
    document = json.loads(
        package_document(sample_package.manifest(), lock, sample_package.plan(), "1.0.0+a1b2c3d", nar_hash=None)
    )
    assert list(document) == sorted(document)
    assert {key: document[key] for key in ("name", "pname", "version", "endpoints")} == {
        "name": "tiny-1.5-1.0.0+a1b2c3d",
        "pname": "tiny-1.5",
        "version": "1.0.0+a1b2c3d",
        "endpoints": ["https://huggingface.co"],
    }
    by_name = {blob["name"]: blob for blob in document["blobs"]}
    assert by_name["model.onnx"] == {
        "name": "model.onnx",
        "path": f"acme/Tiny-LLM/resolve/{sample_package.COMMIT}/onnx/deep/model.onnx",
        "sha256": Hash.sha256_of(b"\x03" * 100).hex(),
    }
    assert len(by_name) == 3 and "nar" not in document


def test_a_self_contained_package_says_where_which_bytes_go() -> None:
    plan = sample_package.plan(Layout.SINGLE, Storage.SELF_CONTAINED)
    document = json.loads(
        package_document(
            sample_package.manifest(Layout.SINGLE, Storage.SELF_CONTAINED),
            sample_package.lock(),
            plan,
            "1",
            nar_hash=HASH,
            mirrors=["https://mirror.example"],
            caches=["https://cache.example"],
        )
    )
    assert document["nar"] == {"sha256": HASH.hex(), "path": f"nar/{HASH.nix32()}.nar"}
    assert (document["caches"], document["endpoints"][1:]) == (["https://cache.example"], ["https://mirror.example"])
    copied = {copy["path"]: document["blobs"][copy["blob"]]["name"] for copy in document["copies"]}
    assert copied == {
        "share/models/tiny_1_5/weights/model-00001-of-00002.safetensors": "model-00001-of-00002.safetensors",
        "share/models/tiny_1_5/weights/model-00002-of-00002.safetensors": "model-00002-of-00002.safetensors",
        "share/models/tiny_1_5/weights/onnx/deep/model.onnx": "model.onnx",
    }


def test_a_patched_blob_lies_beside_unless_the_source_has_the_same_bytes() -> None:
    files = {**sample_package.FILES, "tokenizer_config.json": LARGE}
    lock, plan = sample_package.lock(files), sample_package.plan(files=files)
    (blob, file), *rest = beside(plan, lock)
    assert (blob.name, file.path, rest) == ("tokenizer_config.json", "tokenizer_config.json", [])
    document = json.loads(package_document(sample_package.manifest(), lock, plan, "1", nar_hash=None))
    entry = next(entry for entry in document["blobs"] if entry["name"] == "tokenizer_config.json")
    assert entry == {"name": blob.name, "sha256": blob.sha256.hex(), "file": blob.sha256.hex()}
    twin = LockedFile(path="old/tokenizer_config.json", size=len(LARGE), sha256=blob.sha256)
    assert beside(plan, replace(lock, files=(*lock.files, twin))) == ()


def test_a_model_from_elsewhere_has_no_address_on_the_hub() -> None:
    lock = sample_package.lock()
    lock = replace(lock, licence=None, source=replace(lock.source, snapshot_kind=SnapshotKind.FINGERPRINT))
    document = json.loads(
        package_document(sample_package.manifest(), lock, sample_package.plan(), "1", nar_hash=None, mirrors=["x"])
    )
    assert document["endpoints"] == ["https://not-on-the-hub-add-it-first.invalid"]
    assert set(document["meta"]) == {"description", "platforms"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", {"shortName": "mit", "fullName": "MIT", "spdxId": "MIT", "free": True}),
        ("mit", {"shortName": "mit", "fullName": "MIT", "spdxId": "MIT", "free": True}),
        ("gemma", {"shortName": "gemma", "fullName": "gemma", "free": False}),
        (
            "CC-BY-NC-4.0",
            {"shortName": "cc-by-nc-4.0", "fullName": "CC-BY-NC-4.0", "spdxId": "CC-BY-NC-4.0", "free": False},
        ),
        ("MIT AND Apache-2.0", {"shortName": "mit and apache-2.0", "fullName": "MIT AND Apache-2.0", "free": True}),
        ("MIT AND gemma", {"shortName": "mit and gemma", "fullName": "MIT AND gemma", "free": False}),
    ],
)
def test_licences(licence: str, expected: dict[str, object]) -> None:
    lock = replace(sample_package.lock(), licence=licence)
    assert package_meta(sample_package.manifest(), lock)["license"] == expected


@pytest.mark.parametrize("text", ["a/b-c_d.e~f", "説明 🤗/it's %+?#&=.bin", "\x01\x7f"])
def test_a_path_is_quoted_as_a_url_has_it(text: str) -> None:
    assert quoted(text) == quote(text, safe="/~")
