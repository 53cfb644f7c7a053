"""A model directory of any size: sharded BF16 weights with valid headers, configuration, tokenizer stub."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from pathlib import Path

MIB = 1 << 20
_ROW = 4096  # BF16 values in a row of every tensor
_TENSOR = 64 * MIB

# The high byte of a BF16 number is its sign and most of its exponent: weights lie near zero.
_HIGH_BYTES = bytes((0x3B, 0x3C, 0x3D, 0xBB, 0xBC, 0xBD)[byte % 6] for byte in range(256))

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": _ROW,
    "intermediate_size": 4 * _ROW,
    "num_hidden_layers": 8,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "vocab_size": 16,
    "torch_dtype": "bfloat16",
}
TOKENIZER_CONFIG = {"tokenizer_class": "TokenizersBackend", "model_max_length": 40960}
TOKENIZER = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}


def make_model(directory: Path, *, size: int, shards: int) -> None:
    """Write about ``size`` bytes of weights in ``shards`` files, on the disk and quiet for two seconds at return."""
    directory.mkdir(parents=True)
    per_shard = size // shards // (2 * _ROW) * (2 * _ROW)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file_name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        tensors = _write_shard(directory / file_name, per_shard, shard)
        weight_map |= dict.fromkeys(tensors, file_name)
    index = {"metadata": {"total_size": per_shard * shards}, "weight_map": weight_map}
    write_json(directory / "model.safetensors.index.json", index)
    write_side_files(directory)
    os.sync()
    time.sleep(2.1)  # younger files are hashed every time: their time stamps prove nothing yet


def make_cached_model(repo: Path, snapshot_id: str, *, size: int, shards: int) -> None:
    """The same as a repository of the Hub's cache: blobs under their hashes, and a snapshot of links to them."""
    snapshot, blobs = repo / "snapshots" / snapshot_id, repo / "blobs"
    make_model(snapshot, size=size, shards=shards)
    blobs.mkdir()
    for path in sorted(snapshot.iterdir()):
        with path.open("rb") as file:
            if path.suffix == ".safetensors":
                name = hashlib.file_digest(file, "sha256").hexdigest()
            else:
                contents = file.read()
                name = hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()
        path.rename(blobs / name)
        path.symlink_to(f"../../blobs/{name}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(snapshot_id)
    os.sync()
    time.sleep(2.1)


def write_side_files(directory: Path) -> None:
    write_json(directory / "config.json", CONFIG)
    write_json(directory / "tokenizer_config.json", TOKENIZER_CONFIG)
    write_json(directory / "tokenizer.json", TOKENIZER)
    (directory / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Synthetic\n")


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _write_shard(path: Path, size: int, shard: int) -> list[str]:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for number, start in enumerate(range(0, size, _TENSOR)):
        end = min(start + _TENSOR, size)
        header[f"model.layers.{shard}.part{number}.weight"] = {
            "dtype": "BF16",
            "shape": [(end - start) // (2 * _ROW), _ROW],
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = random.Random(shard)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        left = size
        while left:
            chunk = bytearray(source.randbytes(min(left, 8 * MIB)))
            chunk[1::2] = chunk[1::2].translate(_HIGH_BYTES)
            left -= file.write(chunk)
    return [name for name in header if name != "__metadata__"]
