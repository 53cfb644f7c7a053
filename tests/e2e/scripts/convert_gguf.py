"""Save the model in a GGUF file as ``transformers`` does: shards, index, tokenizer, chat template.

Arguments: the file, the directory.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

source, target = map(Path, sys.argv[1:3])
tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
model = AutoModelForCausalLM.from_pretrained(
    source.parent,
    gguf_file=source.name,
    dtype=torch.bfloat16,
    quantization_config=GgufConfig(gguf_file=source.name, dequantize=True),
)
model.save_pretrained(target, max_shard_size="120MB")
tokenizer.save_pretrained(target)
