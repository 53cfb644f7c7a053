"""The Hub's page of facts about a model."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter

from tests.hub.listing import date_of, security_of
from tests.hub.repo import Commit, File, Repo

_CONFIG = ("architectures", "model_type", "quantization_config", "auto_map")
_HEADER_LIMIT = 25 << 20


def info_of(repo: Repo, commit: Commit, *, blobs: bool, security: bool) -> dict[str, object]:
    """``GET /api/models/{repo}``; sizes and hashes of the files with ``blobs``, scan results with ``security``."""
    document: dict[str, object] = {
        "_id": commit.id[:24],
        "id": repo.repo_id,
        "modelId": repo.repo_id,
        "author": repo.repo_id.rpartition("/")[0],
        "sha": commit.id,
        "lastModified": date_of(commit),
        "createdAt": date_of(next(iter(repo.commits.values()))),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": repo.disabled,
        "downloads": 0,
        "likes": 0,
        "tags": _tags(repo),
        "cardData": dict(repo.card),
        "siblings": [_sibling(file, blobs) for _, file in sorted(commit.files.items())],
        "spaces": [],
        "usedStorage": sum(file.size for file in commit.files.values() if file.lfs),
    }
    if "library_name" in repo.card:
        document["library_name"] = repo.card["library_name"]
    if "config.json" in commit.files:
        document["config"] = _config(commit.files["config.json"])
    if safetensors := _safetensors(commit):
        document["safetensors"] = safetensors
    if security:
        states = {path: security_of(repo, path)["status"] for path in commit.files}
        issues = [{"path": path, "level": status} for path, status in states.items() if status != "safe"]
        document["securityRepoStatus"] = {"scansDone": True, "filesWithIssues": issues}
    return document


@functools.lru_cache(maxsize=1024)
def _header_parameters(file: File) -> tuple[tuple[str, int], ...] | None:
    length = int.from_bytes(file.content.read(0, 8), "little")
    if length > min(file.size, _HEADER_LIMIT):
        return None
    parameters: Counter[str] = Counter()
    try:
        header = json.loads(file.content.read(8, 8 + length))
        for name, tensor in header.items():
            if name != "__metadata__":
                parameters[tensor["dtype"]] += math.prod(tensor["shape"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return tuple(parameters.items())


def _sibling(file: File, blobs: bool) -> dict[str, object]:
    line: dict[str, object] = {"rfilename": file.path}
    if blobs:
        line |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            line["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return line


def _tags(repo: Repo) -> list[str]:
    tags = [f"license:{repo.card['license']}"] if "license" in repo.card else []
    if "base_model" in repo.card:
        base, relation = repo.card["base_model"], repo.card.get("base_model_relation", "finetune")
        tags += [f"base_model:{base}", f"base_model:{relation}:{base}"]
    return [*tags, "region:us"]


def _config(file: File) -> dict[str, object]:
    try:
        config = json.loads(file.content.read(0, file.size))
    except ValueError:
        return {}
    return {name: config[name] for name in _CONFIG if name in config} if isinstance(config, dict) else {}


def _safetensors(commit: Commit) -> dict[str, object]:
    """Parameters by dtype, summed over the headers; nothing when a header cannot be read."""
    parameters: Counter[str] = Counter()
    for path, file in commit.files.items():
        if not path.endswith(".safetensors"):
            continue
        counted = _header_parameters(file)
        if counted is None:
            return {}
        parameters.update(dict(counted))
    return {"parameters": dict(parameters), "total": parameters.total()} if parameters else {}
