"""A package as a CNCF ModelPack artifact (github.com/modelpack/model-spec): a raw layer a file of the model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from hf_pack.model.lock import WEIGHT_SUFFIXES, Blob
from hf_pack.model.plan import Plan, RegularFile, Symlink

ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
FILE_PATH = "org.cncf.model.filepath"
FILE_METADATA = "org.cncf.model.file.metadata+json"
TITLE = "org.opencontainers.image.title"  #: what `oras pull` calls a file

#: Where a ModelPack artifact keeps the package's tree, as a file of the model that no runtime looks at.
TREE_FILE = ".hf-pack/tree.tar"

_MODEL_FILES = re.compile(r"(?:share/models/hub/[^/]+/snapshots/[^/]+|share/models/[^/]+/weights)/(.+)")
_PREFIX = "application/vnd.cncf.model."
_FORMATS = {".safetensors": "safetensors", ".gguf": "gguf", ".onnx": "onnx", ".bin": "pytorch", ".pt": "pytorch"}
_SPDX = re.compile(r"[A-Za-z0-9.+()\- ]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of the model: its path there, its path in the tree, its bytes or the blob that has them."""

    path: str
    tree_path: str
    contents: bytes | Blob

    @property
    def media_type(self) -> str:
        """What the specification calls such a file."""
        name = self.path.rsplit("/", 1)[-1].lower()
        is_text = name.endswith((".md", ".txt", ".pdf")) and name not in ("merges.txt", "vocab.txt")
        if name.endswith(WEIGHT_SUFFIXES):
            kind = "weight"
        elif is_text or name.startswith(("license", "licence", "notice", "copying", "use_policy")):
            kind = "doc"
        elif name.endswith(".py"):
            kind = "code"
        else:
            kind = "weight.config"
        return f"{_PREFIX}{kind}.v1.raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """What a package says of itself."""

    pname: str
    version: str
    repo_id: str
    snapshot_id: str
    licence: str | None


def facts_of(plan: Plan) -> PackageFacts | None:
    """From ``share/<pname>/``; None for a tree that is no package of ours."""
    small = {
        entry.path: entry.contents
        for entry in plan.entries
        if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    }
    for path, contents in small.items():
        directory, _, name = path.rpartition("/")
        if name.startswith("flox-build-version-") and f"{directory}/hf-pack.json" in small:
            document = json.loads(small[f"{directory}/hf-pack.json"])
            return PackageFacts(
                pname=directory.removeprefix("share/"),
                version=contents.decode().strip(),
                repo_id=document["repo_id"],
                snapshot_id=document["snapshot_id"],
                licence=document["licence"],
            )
    return None


def model_files(plan: Plan) -> tuple[ModelFile, ...]:
    """The model's files, in the order of their paths."""
    found = []
    for entry in plan.entries:
        inside = _MODEL_FILES.fullmatch(entry.path)
        contents = entry.blob if isinstance(entry, Symlink) else entry.contents
        if inside is not None and contents is not None:
            found.append(ModelFile(path=inside[1], tree_path=entry.path, contents=contents))
    return tuple(sorted(found, key=lambda file: file.path))


def file_annotations(path: str, size: int) -> dict[str, str]:
    """What a raw layer says of its file: the time and owner are those of every file of a package."""
    metadata = {
        "name": path.rsplit("/", 1)[-1],
        "mode": 0o444,
        "uid": 0,
        "gid": 0,
        "size": size,
        "mtime": "1970-01-01T00:00:01Z",
        "typeflag": ord("0"),
    }
    return {
        FILE_PATH: path,
        FILE_METADATA: json.dumps(metadata, separators=(",", ":"), ensure_ascii=False),
        TITLE: path,
    }


def model_config(facts: PackageFacts, files: tuple[ModelFile, ...], diff_ids: tuple[str, ...]) -> bytes:
    """The artifact's configuration; ``diff_ids`` are its layers' digests."""
    formats = {
        name
        for file in files
        for suffix, name in _FORMATS.items()
        if file.path.endswith(suffix) and file.media_type == f"{_PREFIX}weight.v1.raw"
    }
    document = {
        "descriptor": {
            "name": facts.repo_id,
            "title": facts.pname,
            "version": facts.version,
            "revision": facts.snapshot_id,
            **({"licenses": [facts.licence]} if facts.licence and _SPDX.fullmatch(facts.licence) else {}),
        },
        "config": {"format": formats.pop()} if len(formats) == 1 else {},
        "modelfs": {"type": "layers", "diffIds": list(diff_ids)},
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
