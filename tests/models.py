"""Tiny models that are valid in every byte, written the ways in which models lie on disk."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

COMMIT = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
OTHER_COMMIT = "15852e8c16360a2fea060d615a32b45270f8a8fc"
FINGERPRINT = "d9795a43c4d5249522df7902d274d170c8b7ae6e96eb5c9dfb15f1760b287a17"
REPO_ID = "acme/tiny-llm"

_SIZES = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "I32": 4, "U8": 1, "I64": 8}

#: The tensors of the tiny model: (name, shape).
TENSORS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("model.embed_tokens.weight", (32, 8)),
    ("model.layers.0.self_attn.q_proj.weight", (8, 8)),
    ("model.layers.0.mlp.down_proj.weight", (8, 16)),
    ("model.norm.weight", (8,)),
)

APACHE = b"                                 Apache License\n                           Version 2.0, January 2004\n"
README = b"---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# Tiny\n\nA model for tests.\n"


def safetensors(
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    *,
    seed: int = 0,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A file with these tensors (name to dtype and shape), in this order; the data follows from ``seed``."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {"format": "pt"})}
    position = 0
    for name, (dtype, shape) in tensors.items():
        size = _SIZES[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + filler(position, seed)


def filler(size: int, seed: int = 0) -> bytes:
    """``size`` bytes that look random and depend on ``seed`` alone."""
    return hashlib.shake_128(f"tiny {seed}".encode()).digest(size)


def gguf(
    *,
    architecture: str = "llama",
    context_length: int = 128,
    size: int = 4096,
    chat_template: str = "{{ messages }}",
) -> bytes:
    """A little GGUF file of version 3 without tensors, padded to ``size`` bytes."""
    pairs = [
        _gguf_string("general.architecture", architecture),
        _gguf_string("general.license", "mit"),
        _gguf_text("general.file_type") + struct.pack("<II", 4, 3),
        _gguf_text(f"{architecture}.context_length") + struct.pack("<II", 4, context_length),
        _gguf_string("tokenizer.chat_template", chat_template),
    ]
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)
    return header + filler(size - len(header))


def _gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _gguf_string(key: str, value: str) -> bytes:
    return _gguf_text(key) + struct.pack("<I", 8) + _gguf_text(value)


def as_json(value: object) -> bytes:
    """The value as published configs are written."""
    return (json.dumps(value, indent=2) + "\n").encode()


def tiny_model(
    *,
    shards: int = 1,
    dtype: str = "BF16",
    seed: int = 0,
    config: Mapping[str, object] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """A whole causal language model: path to bytes. ``shards`` > 1 splits the weights and adds the index.

    ``config`` adds or overrides keys of config.json; ``extra`` adds or overrides files.
    """
    files = {
        "config.json": as_json(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_size": 8,
                "intermediate_size": 16,
                "num_attention_heads": 2,
                "num_hidden_layers": 1,
                "max_position_embeddings": 64,
                "vocab_size": 32,
                "torch_dtype": "bfloat16",
                **(config or {}),
            }
        ),
        "generation_config.json": as_json({"do_sample": True, "temperature": 0.7, "eos_token_id": 2}),
        "tokenizer.json": as_json(
            {
                "version": "1.0",
                "added_tokens": [],
                "model": {"type": "WordLevel", "vocab": {f"t{n}": n for n in range(32)}, "unk_token": "t0"},
            }
        ),
        "tokenizer_config.json": as_json(
            {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "{{ messages }}"}
        ),
        "README.md": README,
        "LICENSE": APACHE,
        ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    }
    parts = [TENSORS[number::shards] for number in range(shards)]
    names = (
        ["model.safetensors"]
        if shards == 1
        else [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    )
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        files[name] = safetensors({tensor: (dtype, shape) for tensor, shape in part}, seed=seed + number)
    if shards > 1:
        files["model.safetensors.index.json"] = shard_index(
            {tensor: name for name, part in zip(names, parts, strict=True) for tensor, _ in part}
        )
    return {**files, **(extra or {})}


def shard_index(weight_map: Mapping[str, str]) -> bytes:
    """``model.safetensors.index.json`` for this tensor-to-file map."""
    return as_json({"metadata": {"total_size": 0}, "weight_map": dict(weight_map)})


def lfs_pointer(content: bytes) -> bytes:
    """The pointer that git-lfs leaves in place of ``content``."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\n"
        f"size {len(content)}\n"
    ).encode()


def is_large(path: str) -> bool:
    """Whether the Hub keeps such a file under its sha256 (LFS) and not under its git blob id."""
    return path.endswith((".safetensors", ".gguf", ".bin", ".pt"))


def etag(path: str, content: bytes) -> str:
    """The name of a file's blob in a Hub cache."""
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def write_flat(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Plain files in a directory."""
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return directory


def write_hf_cache(
    cache: Path,
    repo_id: str,
    commit: str,
    files: Mapping[str, bytes],
    layout: Literal["links", "files", "shared"] = "links",
) -> Path:
    """One more snapshot in the Hub cache at ``cache`` (``…/hub``), made ``main``; gives the repo's directory.

    ``links``: snapshot links to blobs; ``files``: real files; ``shared``: large blobs are links on to the
    cache's shared blob store, as the client makes for files that came over Xet.
    """
    repo = cache / f"models--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    write_flat(cache, {"CACHEDIR.TAG": b"Signature: 8a477f597d28d172789f06886806bc55\n"})
    write_flat(repo, {"refs/main": commit.encode(), f".no_exist/{commit}/adapter_config.json": b""})
    for path, content in files.items():
        target = snapshot / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if layout == "files":
            target.write_bytes(content)
            continue
        blob = repo / "blobs" / etag(path, content)
        blob.parent.mkdir(exist_ok=True)
        if layout == "shared" and is_large(path):
            _write_shared(cache, blob, content)
        else:
            blob.write_bytes(content)
        target.symlink_to(os.path.relpath(blob, target.parent))
    write_flat(cache, {f".locks/{repo.name}/x.lock": b""})
    return repo


def _write_shared(cache: Path, blob: Path, content: bytes) -> None:
    # The client names these by Xet hash; any 64 hex digits that are not the sha256 do here.
    name = hashlib.blake2b(content, digest_size=32).hexdigest()
    shared = write_flat(cache / "blobs", {".huggingface-shared-blobs": b"1\n"}) / name[:2] / name
    shared.parent.mkdir(exist_ok=True)
    shared.write_bytes(content)
    blob.symlink_to(os.path.relpath(shared, blob.parent))


def write_local_dir(
    directory: Path, files: Mapping[str, bytes], commit: str, *, commits: Mapping[str, str] | None = None
) -> Path:
    """What ``hf download --local-dir`` leaves; ``commits`` overrides the commit of single files."""
    write_flat(directory, files)
    download = ".cache/huggingface/download"
    for path, content in files.items():
        lines = ((commits or {}).get(path, commit), etag(path, content), "1700000000.0")
        metadata = "".join(f"{line}\n" for line in lines).encode()
        write_flat(directory, {f"{download}/{path}.metadata": metadata, f"{download}/{path}.lock": b""})
    return write_flat(directory, {".cache/huggingface/.gitignore": b"*", ".cache/huggingface/CACHEDIR.TAG": b""})


def write_git_clone(
    directory: Path,
    files: Mapping[str, bytes],
    commit: str,
    *,
    remote: str = f"https://huggingface.co/{REPO_ID}",
    pointers: bool = False,
    packed: bool = False,
) -> Path:
    """A clone as far as anybody but git looks; ``pointers``: the LFS content was not fetched."""
    work = {path: lfs_pointer(data) if pointers and is_large(path) else data for path, data in files.items()}
    write_flat(directory, work)
    config = f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {remote}\n\tfetch = +refs/heads/*\n'
    ref = (
        {".git/packed-refs": f"# pack-refs with: peeled \n{commit} refs/heads/main\n".encode()}
        if packed
        else {".git/refs/heads/main": f"{commit}\n".encode()}
    )
    return write_flat(directory, {".git/HEAD": b"ref: refs/heads/main\n", ".git/config": config.encode(), **ref})
