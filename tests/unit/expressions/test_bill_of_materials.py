"""The bill of materials, by CycloneDX's own schema."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.unit.expressions.facts import facts

from hf_pack.expressions.bill_of_materials import bill_of_materials
from hf_pack.expressions.package_facts import PackageFacts
from hf_pack.formats.store_path import StorePath
from hf_pack.model.lock import ModelSummary


def bill(of: PackageFacts) -> dict[str, Any]:
    """The document, which the schema takes."""
    text = json.dumps(bill_of_materials(of), ensure_ascii=False)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, problem
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_validator_refuses_what_is_wrong() -> None:
    wrong = {**bill_of_materials(facts()), "more": 1}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(wrong)) is not None


def test_the_model_and_every_file_are_in_it() -> None:
    known = facts()
    found = bill(known)
    model = found["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", known.pname, known.version)
    assert model["purl"] == f"pkg:huggingface/acme/Tiny-LLM@{known.snapshot_id}"
    assert model["hashes"] == [{"alg": "SHA-256", "content": known.nar_hash.hex()}]
    assert model["modelCard"]["modelParameters"] == {
        "architectureFamily": "llama",
        "modelArchitecture": "LlamaForCausalLM",
    }
    files = {file["name"]: file["hashes"][0]["content"] for file in found["components"]}
    assert files == {path: digest.sha256.hex() for path, digest in known.files.items()}
    (row,) = found["dependencies"]
    assert (row["ref"], len(row["dependsOn"])) == (str(known.store_path), len(files))
    (patched,) = (file for file in found["components"] if file["name"] == "tokenizer_config.json")
    assert {"name": "hf-pack:patch", "value": "„New“ is what runtimes know"} in patched["properties"]


def test_licences_are_said_as_they_can_be() -> None:
    for licence, said in (
        ("apache-2.0", [{"license": {"id": "Apache-2.0"}}]),
        ("CC-BY-NC-4.0", [{"license": {"id": "CC-BY-NC-4.0"}}]),
        ("gemma", [{"license": {"name": "gemma"}}]),
        ("MIT AND Apache-2.0", [{"expression": "MIT AND Apache-2.0"}]),
        ("MIT AND gemma", [{"license": {"id": "MIT"}}, {"license": {"name": "gemma"}}]),
    ):
        assert bill(replace(facts(), licence=licence))["metadata"]["component"]["licenses"] == said
    assert "licenses" not in bill(replace(facts(), licence=None))["metadata"]["component"]


def test_the_serial_number_follows_from_the_store_path() -> None:
    one, other = facts(), replace(facts(), store_path=StorePath("1" * 32, "tiny-1.5-1.0.0+a1b2c3d"))
    assert bill(one) == bill(one)
    assert bill(one)["serialNumber"] != bill(other)["serialNumber"]


def test_what_an_object_says_alone_is_enough() -> None:
    alone = replace(facts(), making=None, is_commit=False, patches=(), model=ModelSummary(), licence=None)
    model = bill(alone)["metadata"]["component"]
    assert "purl" not in model and "externalReferences" not in model and "pedigree" not in model
