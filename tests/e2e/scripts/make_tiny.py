"""Make a tiny random Llama in shards, as ``transformers`` saves it. Argument: the directory.

Its tokenizer knows 300 words, one token each, so that text tells token ids and the other way round.
"""

import sys

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "za", "ne", "lo")

directory = sys.argv[1]
torch.manual_seed(7)
words = [first + second for first in SYLLABLES for second in SYLLABLES][:297]
vocabulary = {word: number for number, word in enumerate(("<unk>", "<s>", "</s>", *words))}
tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
fast.save_pretrained(directory)
config = LlamaConfig(
    vocab_size=len(fast),
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    max_position_embeddings=128,
    # Wide enough that the best token leads by more than bfloat16 rounds away, whoever multiplies.
    initializer_range=0.4,
    bos_token_id=fast.bos_token_id,
    eos_token_id=fast.eos_token_id,
)
model = LlamaForCausalLM(config).to(torch.bfloat16)
model.save_pretrained(directory, max_shard_size="150KB")
