"""``share/<pname>/``: which build this is, and where its bytes come from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import AppliedPatch, FileDigest, Lock
from hf_pack.model.manifest import Manifest
from hf_pack.model.plan import Entry, RegularFile

PROVENANCE_FILE = "hf-pack.json"


def entries(manifest: Manifest, lock: Lock, build_meta: BuildMeta) -> Iterator[Entry]:
    """The marker file and ``hf-pack.json``."""
    directory = f"share/{manifest.pname}"
    yield RegularFile(
        path=f"{directory}/flox-build-version-{build_meta.build_version}",
        contents=(build_meta.version(manifest.base_version) + "\n").encode(),
    )
    yield RegularFile(path=f"{directory}/{PROVENANCE_FILE}", contents=provenance(manifest, lock))


def provenance(manifest: Manifest, lock: Lock) -> bytes:
    """``hf-pack.json``: only what follows from the packaged bytes, the source's identity and the engine parameters.

    No URL, requested revision, time, machine or tool version: the same model gives the same bytes however it came.
    ``engine_parameters`` has the manifest's tables by runtime, ``runtimes`` the versions that it is for: who pulled the
    package has no manifest. What headers say is not among it: a tool that reads more of them must give the same tree.
    """
    document = {
        "repo_id": str(lock.source.repo_id),
        "snapshot_id": lock.source.snapshot_id,
        "licence": lock.licence,
        "engine_parameters": _sorted(
            {runtime: table for runtime, table in manifest.engine_parameters.items() if table}
        ),
        **({"runtimes": _sorted(manifest.runtimes)} if manifest.runtimes else {}),
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256.hex()}
            for file in sorted(lock.files, key=lambda file: file.path)
        ],
        "patches": [_patch(patch) for patch in lock.patches],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _sorted(document: JsonObject) -> JsonObject:
    """The same, every key in order: how a manifest is written changes no byte."""
    ordered: JsonObject = json.loads(json.dumps(document, sort_keys=True))
    return ordered


def _patch(patch: AppliedPatch) -> dict[str, object]:
    return {
        "file": patch.file,
        "reason": patch.reason,
        "before": _digest(patch.before),
        "after": _digest(patch.after),
    }


def _digest(digest: FileDigest) -> dict[str, object]:
    return {"size": digest.size, "sha256": digest.sha256.hex()}
