"""What ``transformers`` says: JSON with the token ids of each prompt's greedy continuation. Of a directory or repo id.

Arguments: the model, the number of tokens, the prompts. ``--chat`` before them takes them as a user's messages.
"""

import json
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

is_chat = "--chat" in sys.argv
place, tokens, *prompts = [word for word in sys.argv[1:] if word != "--chat"]
tokenizer = AutoTokenizer.from_pretrained(place)
model = AutoModelForCausalLM.from_pretrained(place)
found = {}
for prompt in prompts:
    if is_chat:
        messages = [{"role": "user", "content": prompt}]
        prompt_text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    else:
        prompt_text = prompt
    ids = tokenizer(prompt_text, return_tensors="pt", add_special_tokens=not is_chat).input_ids
    done = model.generate(
        ids, max_new_tokens=int(tokens), do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    best = [step[0].float().topk(2).values for step in done.logits]
    new = done.sequences[0, ids.shape[1] :]
    found[prompt] = {
        "ids": new.tolist(),
        "text": tokenizer.decode(new, skip_special_tokens=True),
        "lead": min(float(first - second) for first, second in best),
    }
print(json.dumps(found))
