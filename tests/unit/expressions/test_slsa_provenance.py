"""Provenance statements: SLSA's fields, version 1."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.sample_package import BEFORE, FILES
from tests.unit.expressions.facts import facts

from hf_pack.expressions.model_signature import SignedProvenance, parse
from hf_pack.expressions.package_facts import PackageFacts
from hf_pack.expressions.slsa_provenance import provenance
from hf_pack.formats.hashes import Hash


def statement(of: PackageFacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(provenance(of)))
    return found


def test_the_statement_has_what_slsa_demands() -> None:
    # slsa.dev/spec/v1.0/provenance: buildType and externalParameters, and builder.id, are required.
    known = facts()
    found = statement(known)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": str(known.store_path), "digest": {"sha256": known.nar_hash.hex()}}]
    assert set(found["predicate"]) == {"buildDefinition", "runDetails"}
    definition, run = found["predicate"]["buildDefinition"], found["predicate"]["runDetails"]
    assert definition["buildType"] == "urn:hf-pack:layout:1"
    assert definition["externalParameters"]["repo_id"] == "acme/Tiny-LLM"
    assert definition["externalParameters"]["revision"] == "main"
    assert definition["internalParameters"] == {"lock": {"sha256": Hash.sha256_of(b"lock").hex()}}
    assert run == {"builder": {"id": "urn:hf-pack:builder", "version": {"hf-pack": "0.1.0"}}}


def test_what_went_in_is_the_source_s_own_bytes() -> None:
    known = facts()
    source, workspace, *files = statement(known)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": known.snapshot_id}
    assert workspace["digest"] == {"gitCommit": known.making.git_rev if known.making else None}
    digests = {file["name"]: file["digest"]["sha256"] for file in files}
    expected = {path: Hash.sha256_of(contents).hex() for path, contents in FILES.items()}
    assert digests == {**expected, "tokenizer_config.json": Hash.sha256_of(BEFORE).hex()}
    (odd,) = (file for file in files if file["name"] == "语言/übung 1.json")
    assert odd["uri"].isascii() and odd["uri"].endswith("%20" + "1.json")


def test_of_an_object_alone_it_claims_no_more_than_is_there() -> None:
    alone = replace(facts(), making=None, is_commit=False)
    found = statement(alone)["predicate"]
    assert "version" not in found["runDetails"]["builder"]
    assert "internalParameters" not in found["buildDefinition"]
    assert all(
        "uri" not in one and "gitCommit" not in one["digest"]
        for one in found["buildDefinition"]["resolvedDependencies"]
    )


def test_it_is_read_back_by_its_subject() -> None:
    known = facts()
    found = parse(json.dumps(provenance(known)).encode())
    assert found == SignedProvenance(subjects={str(known.store_path): known.nar_hash})
