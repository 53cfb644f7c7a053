"""One locked package as values: every kind of file, fixed for ever, so that plans of it can be pinned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hf_pack.formats.hashes import Hash
from hf_pack.layouts.lay_out import lay_out
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import AppliedPatch, Blob, FileDigest, Lock, LockedFile, LockedSource
from hf_pack.model.manifest import Layout, Manifest, PathSource, Selection, Storage
from hf_pack.model.plan import Plan, RegularFile, Symlink

COMMIT = "15852e8c16360a2fea060d615a32b45270f8a8fc"
BEFORE = b'{"tokenizer_class": "Old"}\n'

#: Path to final bytes: two shards, a nested weight file, nested and unicode small files.
FILES: Mapping[str, bytes] = {
    "1_Pooling/config.json": b'{"pooling": "mean"}\n',
    "README.md": "Größe 🤗\n".encode(),
    "config.json": b'{"model_type": "llama"}\n',
    "empty.txt": b"",
    "model-00001-of-00002.safetensors": b"\x01" * 4096,
    "model-00002-of-00002.safetensors": b"\x02" * 4099,
    "onnx/deep/model.onnx": b"\x03" * 100,
    "tokenizer_config.json": b'{"tokenizer_class": "New"}\n',
    "语言/übung 1.json": b"{}\n",
}

META = BuildMeta(build_version=3, git_rev="a1b2c3d" + "0" * 33, git_rev_short="a1b2c3d", changelog="Third.")


def digest(contents: bytes) -> FileDigest:
    return FileDigest(size=len(contents), sha256=Hash.sha256_of(contents))


def lock(files: Mapping[str, bytes] = FILES, *, snapshot_id: str = COMMIT) -> Lock:
    patched = "tokenizer_config.json"
    return Lock(
        layout_version=1,
        source=LockedSource(
            repo_id=RepoId("acme", "Tiny-LLM"), snapshot_id=snapshot_id, snapshot_kind=SnapshotKind.COMMIT
        ),
        selection=Selection(),
        files=tuple(
            LockedFile(
                path=path,
                size=len(contents),
                sha256=Hash.sha256_of(contents),
                original=digest(BEFORE) if path == patched else None,
            )
            for path, contents in files.items()
        ),
        patches=(
            AppliedPatch(
                file=patched,
                reason="„New“ is what runtimes know",
                definition={"set": {"tokenizer_class": "New"}},
                replacement=None,
                before=digest(BEFORE),
                after=digest(FILES[patched]),
            ),
        ),
        licence="apache-2.0",
        provenance=(("quantization_plan.sha256", "ab" * 32),),
    )


def manifest(layout: Layout = Layout.DUAL, storage: Storage = Storage.LINKED) -> Manifest:
    return Manifest(
        name="tiny-1-5",
        pname="tiny-1.5",
        base_version="1.0.0",
        layout=layout,
        storage=storage,
        triton_model_name="tiny_1_5" if layout.has_triton else None,
        source=PathSource(path="/somewhere"),
        selection=Selection(),
        vllm={"max_model_len": 4096, "dtype": "auto", "gpu_memory_utilization": 0.85},
        sglang={"tp_size": 2},
        triton={"max_model_len": 2048, "disable_log_stats": True},
        runtimes={"vllm": ">=0.30"},
    )


def plan(
    layout: Layout = Layout.DUAL,
    storage: Storage = Storage.LINKED,
    *,
    files: Mapping[str, bytes] = FILES,
    snapshot_id: str = COMMIT,
) -> Plan:
    return lay_out(manifest(layout, storage), lock(files, snapshot_id=snapshot_id), META, kept(files))


def kept(files: Mapping[str, bytes] = FILES) -> dict[str, bytes]:
    """The files that are no blobs."""
    locked = {file.path: file for file in lock(files).files}
    return {path: contents for path, contents in files.items() if not locked[path].is_blob}


def write_store(plan: Plan, store: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Put the tree and its blobs into a store directory the plain way; returns the tree."""
    by_hash = {Hash.sha256_of(contents): contents for contents in files.values()}
    store.mkdir(parents=True, exist_ok=True)
    for blob in plan.blobs:
        (store / blob.store_path.base_name).write_bytes(by_hash[blob.sha256])
    tree = store / f"{'0' * 32}-{plan.name}"
    tree.mkdir()
    for entry in plan.entries:
        path = tree / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        match entry:
            case Symlink():
                path.symlink_to(entry.target)
            case RegularFile(contents=bytes() as contents):
                path.write_bytes(contents)
            case RegularFile(contents=Blob() as weights):
                path.write_bytes(by_hash[weights.sha256])
    return tree
