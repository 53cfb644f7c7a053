"""Round trips of the workspace's documents, and laws of patches."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.document_strategies import json_objects, json_values, locks, manifests

from hf_pack.model import lock_document, manifest_document
from hf_pack.model.document import is_same
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Manifest, Patch
from hf_pack.model.manifest_text import set_base_version, write
from hf_pack.model.patches import PatchMismatch, apply
from hf_pack.model.toml_value import write as toml

_LOCK_KEYS = ["layout_version", "source", "selection", "licence", "model", "files", "omitted", "patches"]


@given(manifests, st.lists(st.text(), max_size=2))
def test_a_written_manifest_is_read_back(manifest: Manifest, comments: list[str]) -> None:
    assert manifest_document.parse(write(manifest, comments=comments), manifest.name) == manifest


@settings(max_examples=30)  # tomlkit is slow
@given(manifests)
def test_an_edit_of_a_manifest_changes_what_it_says(manifest: Manifest) -> None:
    edited = manifest_document.parse(set_base_version(write(manifest), "9.9"), manifest.name)
    assert edited == replace(manifest, base_version="9.9")


@given(json_objects)
def test_json_in_toml_is_read_back(value: JsonObject) -> None:
    assert is_same(tomllib.loads(f"x = {toml(value)}")["x"], value)


@given(locks)
def test_a_formatted_lock_is_read_back(lock: Lock) -> None:
    data = lock_document.format(lock)
    reading = lock_document.read(data)
    assert reading.lock == lock
    assert reading.warnings == ()
    assert lock_document.format(reading.lock) == data


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_lock_or_problems(data: bytes) -> None:
    try:
        lock_document.parse(data)
    except lock_document.LockProblems as error:
        assert error.problems


@given(st.dictionaries(st.sampled_from(_LOCK_KEYS), json_values | st.lists(json_objects)))
def test_any_object_is_a_lock_or_problems(value: JsonObject) -> None:
    try:
        lock_document.parse(json.dumps({"lock_version": "1.0", **value}).encode())
    except lock_document.LockProblems as error:
        assert error.problems


@given(json_objects, st.sampled_from([None, 2, 4, "\t"]), st.booleans(), json_values)
def test_a_patch_keeps_the_bytes_of_everything_else(
    document: JsonObject, indent: int | str | None, ascii_only: bool, value: JsonValue
) -> None:
    """Undoing a patch gives the file back, for every style that the standard writer has."""
    before = json.dumps({"key": 0, **document}, indent=indent, ensure_ascii=ascii_only).encode()
    original = json.loads(before)["key"]
    try:
        after = apply(Patch(file="a.json", reason="r", set={"key": value}), before, None)
    except PatchMismatch:
        assert is_same(value, original)
        return
    assert json.loads(after) == {"key": value, **json.loads(before), "key": value}  # noqa: F601
    if before.isascii() == after.isascii():
        assert apply(Patch(file="a.json", reason="r", set={"key": original}), after, None) == before
