"""Where a package came from, as an in-toto statement with SLSA's provenance, version 1 (slsa.dev/spec/v1.0/provenance).

It says the same however often it is asked: no time, no machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from hf_pack.expressions.model_signature import PROVENANCE, STATEMENT
from hf_pack.expressions.package_document import quoted
from hf_pack.expressions.package_facts import PackageFacts
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.lock import FileDigest

#: What is done: files of a model, patched, laid out as a store object. The number is that of the layout's text.
BUILD_TYPE = "urn:hf-pack:layout:{layout_version}"
BUILDER = "urn:hf-pack:builder"


def provenance(facts: PackageFacts) -> JsonObject:
    """The statement. Its subject is the store path by its NAR hash; what went in is there by its own hashes."""
    making = facts.making
    external: dict[str, JsonValue] = {
        "repo_id": facts.repo_id,
        "revision": (making.asked_revision if making is not None else None) or facts.snapshot_id,
        "engine_parameters": facts.engine_parameters,
        "patches": [
            {"file": patch.file, "reason": patch.reason, "digest": _sha256(patch.after)} for patch in facts.patches
        ],
    }
    definition: dict[str, JsonValue] = {
        "buildType": BUILD_TYPE.format(layout_version=1 if making is None else making.layout_version),
        "externalParameters": external,
        "resolvedDependencies": list(_dependencies(facts)),
    }
    builder: dict[str, JsonValue] = {"id": BUILDER}
    if making is not None:
        external |= {"layout": making.layout, "storage": making.storage}
        definition["internalParameters"] = {"lock": {"sha256": making.lock_digest.hex()}}
        builder["version"] = {"hf-pack": making.tool_version}
    return {
        "_type": STATEMENT,
        "subject": [{"name": str(facts.store_path), "digest": {"sha256": facts.nar_hash.hex()}}],
        "predicateType": PROVENANCE,
        "predicate": {"buildDefinition": definition, "runDetails": {"builder": builder}},
    }


def _dependencies(facts: PackageFacts) -> Iterator[JsonObject]:
    url, making = facts.source_url, facts.making
    if url is not None:
        yield {"name": facts.repo_id, "uri": f"git+{url}", "digest": {"gitCommit": facts.snapshot_id}}
    if making is not None and making.git_rev is not None:
        yield {"name": "workspace", "digest": {"gitCommit": making.git_rev}}
    before = {patch.file: patch.before for patch in reversed(facts.patches)}
    for path, digest in sorted(facts.files.items()):
        where: dict[str, JsonValue] = (
            {} if url is None else {"uri": f"{url}/resolve/{facts.snapshot_id}/{quoted(path)}"}
        )
        yield {"name": path, **where, "digest": _sha256(before.get(path, digest))}


def _sha256(digest: FileDigest) -> JsonObject:
    return {"sha256": digest.sha256.hex()}
