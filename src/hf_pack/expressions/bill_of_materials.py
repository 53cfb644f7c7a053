"""A package as a machine-learning bill of materials: CycloneDX 1.6, JSON.

The same package gives the same bytes: no time, and a serial number that follows from the store path.
"""

from __future__ import annotations

import uuid

from hf_pack.expressions.package_document import quoted
from hf_pack.expressions.package_facts import PackageFacts
from hf_pack.expressions.package_meta import spdx_id
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import ModelSummary


def bill_of_materials(facts: PackageFacts) -> JsonObject:
    """The document: the model with its card, and every file of it by its sha256."""
    files = [_file(path, facts) for path in sorted(facts.files)]
    reference = str(facts.store_path)
    tool: dict[str, JsonValue] = {"type": "application", "name": "hf-pack"}
    if facts.making is not None:
        tool["version"] = facts.making.tool_version
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference)}",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}, "component": _model(facts)},
        "components": files,
        "dependencies": [{"ref": reference, "dependsOn": [file["bom-ref"] for file in files]}],
    }


def _model(facts: PackageFacts) -> JsonObject:
    component: dict[str, JsonValue] = {
        "type": "machine-learning-model",
        "bom-ref": str(facts.store_path),
        "name": facts.pname,
        "version": facts.version,
        "hashes": [{"alg": "SHA-256", "content": facts.nar_hash.hex()}],
        "modelCard": _card(facts.model),
        "properties": _properties(
            ("store_path", str(facts.store_path)),
            ("nar_hash", facts.nar_hash.sri()),
            ("repo_id", facts.repo_id),
            ("snapshot_id", facts.snapshot_id),
        ),
    }
    if facts.licence is not None:
        component["licenses"] = _licences(facts.licence)
    if facts.patches:
        component["pedigree"] = {"notes": "\n".join(f"{patch.file}: {patch.reason}" for patch in facts.patches)}
    if facts.source_url is not None:
        component["purl"] = f"pkg:huggingface/{quoted(facts.repo_id)}@{facts.snapshot_id}"
        component["externalReferences"] = [
            {"type": "website", "url": facts.source_url},
            {"type": "distribution", "url": f"{facts.source_url}/tree/{facts.snapshot_id}"},
        ]
    return component


def _card(model: ModelSummary) -> JsonObject:
    parameters: dict[str, JsonValue] = {}
    if model.model_type is not None:
        parameters["architectureFamily"] = model.model_type
    if model.architectures:
        parameters["modelArchitecture"] = ", ".join(model.architectures)
    known = (
        ("parameters", model.parameters),
        ("dtype", model.dtype),
        ("context_length", model.context_length),
        ("quantization_method", model.quantization_method),
        ("quantization_bits", model.quantization_bits),
    )
    stated = _properties(*((name, str(value)) for name, value in known if value is not None))
    return {"modelParameters": parameters, "properties": stated}


def _licences(licence: str) -> list[JsonValue]:
    parts = [spdx_id(part) for part in licence.split(" AND ")]
    if len(parts) > 1 and all(parts):
        return [{"expression": " AND ".join(part for part in parts if part)}]
    return [
        {"license": {"name": part} if known is None else {"id": known}}
        for part, known in zip(licence.split(" AND "), parts, strict=True)
    ]


def _file(path: str, facts: PackageFacts) -> JsonObject:
    digest = facts.files[path]
    reasons = [patch.reason for patch in facts.patches if patch.file == path]
    return {
        "type": "file",
        "bom-ref": f"{facts.store_path}#{quoted(path)}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": digest.sha256.hex()}],
        "properties": _properties(("size", str(digest.size)), *(("patch", reason) for reason in reasons)),
    }


def _properties(*pairs: tuple[str, str]) -> list[JsonValue]:
    return [{"name": f"hf-pack:{name}", "value": value} for name, value in pairs]
