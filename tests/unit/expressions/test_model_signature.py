"""What a model signature signs, and what files it holds for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from hf_pack.expressions.model_signature import SignedModel, SignedProvenance, parse, statement
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath

PACKAGE = StorePath("0" * 32, "m-1.0.0+a")
FILES = {path: Hash.sha256_of(path.encode()) for path in ("a.b/x", "a/x", "a", "config.json", "übung 1.json")}


def signed(files: Mapping[str, Hash] = FILES) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(statement("m-1.0.0+a", files, PACKAGE))
    return found


def parsed(document: object) -> SignedModel | SignedProvenance:
    return parse(json.dumps(document).encode())


def test_the_root_digest_is_over_digests_in_the_order_of_path_parts() -> None:
    document = signed()
    resources = document["predicate"]["resources"]
    assert [one["name"] for one in resources] == ["a", "a/x", "a.b/x", "config.json", "übung 1.json"]
    expected = hashlib.sha256(b"".join(FILES[one["name"]].digest for one in resources)).hexdigest()
    assert document["subject"] == [{"name": "m-1.0.0+a", "digest": {"sha256": expected}}]


def test_what_is_signed_is_read_back() -> None:
    found = parsed(signed())
    assert isinstance(found, SignedModel)
    assert (found.files, found.store_path) == (FILES, PACKAGE)
    assert found.differences(FILES) == ()


def test_files_of_git_at_the_top_are_not_signed_and_not_missed() -> None:
    files = {**FILES, ".gitattributes": FILES["a"], ".git/HEAD": FILES["a"], "sub/.gitattributes": FILES["a"]}
    found = parsed(signed(files))
    assert isinstance(found, SignedModel)
    assert found.files.keys() == FILES.keys() | {"sub/.gitattributes"}
    assert found.differences(files) == ()


def test_every_difference_is_named() -> None:
    found = parsed(signed())
    assert isinstance(found, SignedModel)
    changed = {**FILES, "config.json": FILES["a"], "more.py": FILES["a"], ".github/x": FILES["a"]}
    del changed["a/x"]
    assert found.differences(changed) == (
        ("a/x", "was signed and is not there"),
        ("config.json", "other bytes than were signed"),
        ("more.py", "was not signed"),
    )


def test_a_statement_that_contradicts_itself_is_refused() -> None:
    def change(path: list[str | int], value: object) -> dict[str, Any]:
        document: Any = signed()
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        changed: dict[str, Any] = document
        return changed

    first: list[str | int] = ["predicate", "resources", 0]
    for document, problem in (
        (change(["_type"], "https://in-toto.io/Statement/v0.1"), "_type: expected"),
        (change(["predicateType"], "https://model_signing/Digests/v0.1"), "predicateType: expected"),
        (change(["predicate", "serialization", "method"], "shards"), "found 'shards' with 'sha256'"),
        (change(["predicate", "serialization", "hash_type"], "blake3"), "found 'files' with 'blake3'"),
        (change([*first, "digest"], "00" * 32), "its digest is not that of the resources"),
        (change([*first, "algorithm"], "blake3"), "algorithm sha256"),
        (change([*first, "digest"], "xyz"), "xyz"),
        (change(["subject", 0, "digest", "sha256"], "00" * 32), "its digest is not that of the resources"),
        (change(["subject"], []), "subject: expected a list"),
        (change(["predicate", "resources"], []), "resources: expected a list"),
        (change(["predicate", "hf_pack", "store_path"], "/tmp/x"), "not a path in /nix/store"),
    ):
        with pytest.raises(FormatError, match=problem):
            parsed(document)
    with pytest.raises(FormatError, match="appears twice"):
        parse(b'{"_type": 1, "_type": 2}')


def test_one_name_twice_is_refused() -> None:
    document = signed({"a": FILES["a"]})
    document["predicate"]["resources"] *= 2
    both = hashlib.sha256(FILES["a"].digest * 2).hexdigest()
    document["subject"][0]["digest"]["sha256"] = both
    with pytest.raises(FormatError, match="two have one name"):
        parsed(document)
