"""Load models by repo id or directory and print what each says, as a JSON list. Arguments: ids or directories."""

import hashlib
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def say(name: str) -> dict[str, object]:
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name).eval()
    ids = tokenizer("hello world, the quick fox", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = model(ids).logits.float()
        generated = model.generate(ids, max_new_tokens=8, do_sample=False)
    return {
        "ids": ids[0].tolist(),
        "generated": generated[0].tolist(),
        "logits": hashlib.sha256(logits.numpy().tobytes()).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


torch.set_num_threads(1)
print(json.dumps([say(name) for name in sys.argv[1:]]))
