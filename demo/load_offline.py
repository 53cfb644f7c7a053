"""Loads the packaged model with huggingface_hub, tokenizers and safetensors, offline and read-only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from huggingface_hub import snapshot_download
from safetensors import safe_open
from tokenizers import Tokenizer

snapshot = Path(snapshot_download("sentence-transformers/all-MiniLM-L6-v2", local_files_only=True))
tokenizer = Tokenizer.from_file(str(snapshot / "tokenizer.json"))
tokenizer.no_padding()
tokens = tokenizer.encode("One file has one hash everywhere.")
with safe_open(snapshot / "model.safetensors", framework="numpy") as weights:
    names = list(weights.keys())
    embeddings = weights.get_tensor("embeddings.word_embeddings.weight")
vectors = embeddings[tokens.ids]
print(f"huggingface_hub: {len(list(snapshot.rglob('*')))} entries in snapshot {snapshot.name[:12]}")
print(f"tokenizers:      {' '.join(tokens.tokens)}")
print(f"safetensors:     {len(names)} tensors; word embeddings {embeddings.shape} {embeddings.dtype}")
print(f"                 mean embedding norm of the sentence {np.linalg.norm(vectors.mean(axis=0)):.4f}")
