"""What `add` proposes for a model that it has looked at: names, layout and engine defaults. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hf_pack.formats.store_path import sanitize_name
from hf_pack.model.hub_ids import HubIdError, RepoId, SnapshotKind
from hf_pack.model.json_value import JsonValue
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import (
    CONTENT_SNAPSHOT,
    HubSource,
    Layout,
    Manifest,
    PathSource,
    Selection,
    Storage,
)
from hf_pack.model.manifest_document import check_pname, check_triton_model_name
from hf_pack.ports import SourceListing
from hf_pack.steps.workspace.workspace_files import stem_of

#: Context that a first start should fit on one common GPU, in tokens; a person raises it in the manifest.
FIRST_CONTEXT = 8192


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line asks for; None leaves it to the proposal."""

    name: str | None = None
    layout: Layout | None = None
    triton_model_name: str | None = None
    storage: Storage | None = None
    revision: str | None = None
    repo_id: RepoId | None = None  #: of a model on disk


def source_of(asked: PathSource | HubSource, listing: SourceListing, wishes: Wishes) -> PathSource | HubSource:
    """The manifest's source. A directory is pinned to the snapshot that it says it is, else to its content."""
    if isinstance(asked, HubSource):
        return asked
    slug = wishes.repo_id or listing.repo_id or local_repo_id(listing.place.rstrip("/").rpartition("/")[2])
    snapshot_id = wishes.revision or listing.snapshot_id or CONTENT_SNAPSHOT
    return PathSource(path=asked.path, slug=slug, snapshot_id=snapshot_id)


def repo_id_of(source: PathSource | HubSource) -> RepoId:
    """The repository that a proposed source names."""
    repo_id = source.repo_id if isinstance(source, HubSource) else source.slug
    assert repo_id is not None
    return repo_id


def local_repo_id(directory: str) -> RepoId:
    """A repo id for a directory that has none: its own name when that is a slug, else ``local/<name>``."""
    try:
        slug = RepoId.parse_folder(directory) if directory.startswith("models--") else RepoId.parse_slug(directory)
        if slug.namespace is not None:
            return slug
    except HubIdError:
        pass
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", directory)
    plain = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", plain)).strip("-.")[:96].strip("-.")
    plain = plain.removesuffix(".git")
    return RepoId("local", plain or "model")


def propose(source: PathSource | HubSource, selection: Selection, model: ModelSummary, wishes: Wishes) -> Manifest:
    """A whole manifest for the model."""
    pname = wishes.name or _allowed(sanitize_name(repo_id_of(source).name.lower()), check_pname, "-model")
    layout = wishes.layout or (Layout.DUAL if wishes.triton_model_name else proposed_layout(model))
    triton_model_name = wishes.triton_model_name
    if layout.has_triton and triton_model_name is None:
        plain = re.sub(r"[^a-z0-9]+", "_", pname.lower()).strip("_")
        triton_model_name = _allowed(plain, check_triton_model_name, "_model")
    return Manifest(
        name=stem_of(pname),
        pname=pname,
        base_version="1.0.0",
        layout=layout,
        storage=wishes.storage or Storage.LINKED,
        triton_model_name=triton_model_name,
        source=source,
        selection=selection,
        vllm=engine_defaults(model),
    )


def _allowed(name: str, check: Callable[[str], object], ending: str) -> str:
    """The name itself, or with an ending where the rules keep it for something else (``triton``, ``hub``)."""
    try:
        check(name)
    except ValueError:
        return name + ending
    return name


def proposed_layout(model: ModelSummary) -> Layout:
    """Dual for a model that generates text; the Hub's layout alone for encoders and others, which Triton's vLLM
    backend does not serve."""
    generates = any(
        name.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")) for name in model.architectures
    )
    return Layout.DUAL if generates else Layout.HF


def engine_defaults(model: ModelSummary) -> dict[str, JsonValue]:
    """``dtype`` and ``max_model_len``. Never ``quantization``: a quantized model declares it in its own files, and an
    engine refuses a value that differs."""
    defaults: dict[str, JsonValue] = {"dtype": "auto"}
    if model.context_length is not None:
        defaults["max_model_len"] = min(model.context_length, FIRST_CONTEXT)
    return defaults


def comments(model: ModelSummary, kind: SnapshotKind, licence: str | None) -> tuple[str, ...]:
    """Lines for the head of the manifest: what the model is."""
    if model.quantization_method == "none":
        precision = f"not quantized, {model.dtype or 'dtype unknown'}"
    else:
        bits = f", {model.quantization_bits} bits" if model.quantization_bits else ""
        precision = f"quantized: {model.quantization_method}{bits}; its own files say so, no engine parameter is needed"
    lines = [", ".join(model.architectures) or model.model_type or "model of unknown architecture", precision]
    if model.context_length is not None:
        lines.append(f"context length: {model.context_length} tokens")
    lines.append(f"licence: {licence or 'not stated in its files'}")
    if kind is SnapshotKind.CONTENT:
        lines.append('snapshot_id "content" is derived from the files; write the commit instead if you know it')
    elif kind is SnapshotKind.FINGERPRINT:
        lines.append("snapshot_id is a quantizer's fingerprint, not a commit on the Hub")
    return tuple(lines)
