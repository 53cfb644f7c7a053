"""What the model in a GGUF file answers, as JSON. Arguments: the repo id, the file in it, the question."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

repo_id, file, question = sys.argv[1:4]
tokenizer = AutoTokenizer.from_pretrained(repo_id, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(
    repo_id,
    gguf_file=file,
    dtype=torch.bfloat16,
    quantization_config=GgufConfig(gguf_file=file, dequantize=True),
)
messages = [{"role": "user", "content": question}]
asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
done = model.generate(**asked, max_new_tokens=16, do_sample=False)
print(json.dumps(tokenizer.decode(done[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)))
