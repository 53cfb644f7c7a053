"""Weights and KV cache against what runtimes logged in public, for models that nobody tuned this for.

Each row names the public thread or page that has the log; those that begin with ``no address`` were read in public
texts whose place was not kept, and count for nothing but themselves. The configurations are the models' own (their
fields that matter); those of MiniMax, Kimi, Mistral and the pictures' part of Qwen are what transformers 5.19 has for
these checkpoints, and some name the public file that has them. ``-s`` prints the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.spec.model_shapes import Form, headers

from hf_pack.gpu.cache import cache_of
from hf_pack.gpu.catalogue import GIB, Gpu
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.memory import weights_per_gpu
from hf_pack.gpu.settings import resolve
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.mistral_params import config_of_params
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.quantization import detect
from hf_pack.weights.tensor_parts import weight_parts

GPU = Gpu(name="H100", sm=90, memory=79 * GIB, memory_source="measured")

QWEN2 = {"model_type": "qwen2", "max_position_embeddings": 32768, "vocab_size": 151936, "torch_dtype": "bfloat16"}
QWEN3_MOE = {
    "model_type": "qwen3_moe", "max_position_embeddings": 40960, "vocab_size": 151936, "num_experts_per_tok": 8,
    "head_dim": 128, "num_key_value_heads": 4, "num_experts": 128, "torch_dtype": "bfloat16", "decoder_sparse_step": 1,
}  # fmt: skip
QWEN3_5 = {
    "max_position_embeddings": 262144, "vocab_size": 248320, "head_dim": 256, "full_attention_interval": 4,
    "linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32", "mtp_num_hidden_layers": 1, "dtype": "bfloat16",
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088, "sliding_window": 128, "attention_bias": True,
    "max_position_embeddings": 131072, "num_experts_per_tok": 4, "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "mxfp4"},
}  # fmt: skip
#: Its params.json, which vLLM reads for the consolidated weights that its repository has.
MISTRAL_SMALL_4: dict[str, Any] = {
    "dim": 4096, "n_layers": 36, "head_dim": 128, "hidden_dim": 12288, "n_heads": 32, "n_kv_heads": 32,
    "kv_lora_rank": 256, "q_lora_rank": 1024, "qk_rope_head_dim": 64, "qk_nope_head_dim": 64, "v_head_dim": 128,
    "vocab_size": 131072, "max_position_embeddings": 1048576, "vision_encoder": {"hidden_size": 1024},
    "moe": {"num_experts": 128, "num_experts_per_tok": 4, "num_shared_experts": 1, "expert_hidden_dim": 2048},
}  # fmt: skip

CONFIGS: Mapping[str, dict[str, Any]] = {
    "Llama-3.1-8B": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
        "max_position_embeddings": 131072,
    },
    "Llama-3.1-70B": {
        "model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
        "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
        "max_position_embeddings": 131072,
    },
    "Qwen2-0.5B": QWEN2 | {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2, "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 32768,
    },
    "Qwen2.5-1.5B": QWEN2 | {
        "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2, "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 32768,
    },
    "Qwen2.5-3B": QWEN2 | {
        "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
        "num_key_value_heads": 2, "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": 32768,
    },
    "Qwen2.5-32B": QWEN2 | {
        "hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 40,
        "num_key_value_heads": 8, "vocab_size": 152064, "use_sliding_window": False, "sliding_window": 131072,
    },
    "Qwen2.5-14B": QWEN2 | {
        "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 48, "num_attention_heads": 40,
        "num_key_value_heads": 8, "vocab_size": 152064, "use_sliding_window": False, "sliding_window": 131072,
        "max_position_embeddings": 131072,
    },
    "Qwen2.5-72B": QWEN2 | {  # padded, as the GPTQ models are
        "hidden_size": 8192, "intermediate_size": 29696, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "vocab_size": 152064, "use_sliding_window": False, "sliding_window": 131072,
    },
    "Qwen3-1.7B": {
        "model_type": "qwen3", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    },
    "Qwen3-4B": {
        "model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    },
    "Mixtral-8x7B": {
        "model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "moe_intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
        "num_experts_per_tok": 2, "vocab_size": 32000, "max_position_embeddings": 32768, "sliding_window": None,
        "torch_dtype": "bfloat16",
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144,
        "sliding_window": 512, "sliding_window_pattern": 6, "max_position_embeddings": 32768,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    },
    "Qwen3-30B-A3B": QWEN3_MOE | {
        "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 48,
        "num_attention_heads": 32,
    },
    "Qwen3-235B-A22B": QWEN3_MOE | {
        "hidden_size": 4096, "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_hidden_layers": 94,
        "num_attention_heads": 64,
    },
    "Qwen3.5-9B": {"model_type": "qwen3_5", "text_config": QWEN3_5 | {
        "model_type": "qwen3_5_text", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32,
        "num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_value_heads": 32,
    }},
    "Qwen3.5-27B": {"model_type": "qwen3_5", "text_config": QWEN3_5 | {
        "model_type": "qwen3_5_text", "hidden_size": 5120, "intermediate_size": 17408, "num_hidden_layers": 64,
        "num_attention_heads": 24, "num_key_value_heads": 4, "linear_num_value_heads": 48,
    }},
    "Qwen3.5-35B-A3B": {"model_type": "qwen3_5_moe", "text_config": QWEN3_5 | {
        "model_type": "qwen3_5_moe_text", "hidden_size": 2048, "num_hidden_layers": 40, "num_attention_heads": 16,
        "num_key_value_heads": 2, "linear_num_value_heads": 32, "num_experts": 256, "num_experts_per_tok": 8,
        "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
    }},
    "Phi-4": {
        "model_type": "phi3", "hidden_size": 5120, "intermediate_size": 17920, "num_hidden_layers": 40,
        "num_attention_heads": 40, "num_key_value_heads": 10, "vocab_size": 100352, "torch_dtype": "bfloat16",
        "max_position_embeddings": 16384, "sliding_window": None,
    },
    "DeepSeek-V2-Lite": {
        "model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
        "num_key_value_heads": 16, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
        "v_head_dim": 128, "max_position_embeddings": 163840, "vocab_size": 102400, "torch_dtype": "bfloat16",
    },
    "gemma-3-27b": {"model_type": "gemma3", "tie_word_embeddings": True, "text_config": {
        "model_type": "gemma3_text", "hidden_size": 5376, "intermediate_size": 21504, "num_hidden_layers": 62,
        "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "vocab_size": 262208,
        "sliding_window": 1024, "sliding_window_pattern": 6, "max_position_embeddings": 131072,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    }},
    "Qwen-7B": {  # stanford-crfm/levanter, tests/test_qwen2.py
        "model_type": "qwen", "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
        "num_attention_heads": 32, "kv_channels": 128, "vocab_size": 151936, "max_position_embeddings": 32768,
        "seq_length": 8192, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    },
    "Qwen3-14B": {  # NVIDIA/NeMo, nemo/collections/llm/gpt/model/qwen3.py
        "model_type": "qwen3", "hidden_size": 5120, "intermediate_size": 17408, "num_hidden_layers": 40,
        "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
        "max_position_embeddings": 40960, "torch_dtype": "bfloat16",
    },
    # Its first release repeated each of the 8 key and value heads: Lightning-AI/litgpt, litgpt/config.py of August 2024
    # (n_query_groups=16), and vllm-project/vllm#6689.
    "Llama-3.1-405B": {
        "model_type": "llama", "hidden_size": 16384, "intermediate_size": 53248, "num_hidden_layers": 126,
        "num_attention_heads": 128, "num_key_value_heads": 16, "vocab_size": 128256, "torch_dtype": "bfloat16",
        "max_position_embeddings": 131072,
    },
    # huggingface/transformers, src/transformers/models/pixtral/convert_pixtral_weights_to_hf.py
    "Pixtral-12B": {"model_type": "llava", "text_config": {
        "model_type": "mistral", "hidden_size": 5120, "intermediate_size": 14336, "num_hidden_layers": 40,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 131072,
        "max_position_embeddings": 1024000, "sliding_window": None, "torch_dtype": "bfloat16",
    }},
    "Kimi-Linear-48B-A3B": {
        "model_type": "kimi_linear", "hidden_size": 2304, "intermediate_size": 9216, "moe_intermediate_size": 1024,
        "num_hidden_layers": 27, "num_attention_heads": 32, "num_key_value_heads": 32, "kv_lora_rank": 512,
        "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "num_experts": 256, "vocab_size": 163840,
        "max_position_embeddings": 1048576, "dtype": "bfloat16", "linear_attn_config": {
            "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128, "num_heads": 32,
            "short_conv_kernel_size": 4,
        },
    },
    "MiniMax-M2.7": {
        "model_type": "minimax_m2", "hidden_size": 3072, "intermediate_size": 1536, "num_hidden_layers": 62,
        "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "num_local_experts": 256,
        "num_experts_per_tok": 8, "vocab_size": 200064, "max_position_embeddings": 196608, "dtype": "bfloat16",
    },
    "Mistral-Small-4-119B": config_of_params(MISTRAL_SMALL_4, {}),
    "gemma-4-31B": {"model_type": "gemma4", "tie_word_embeddings": True, "text_config": {
        "model_type": "gemma4_text", "hidden_size": 5376, "intermediate_size": 21504, "num_hidden_layers": 60,
        "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 256, "global_head_dim": 512,
        "num_global_key_value_heads": 4, "attention_k_eq_v": True, "vocab_size": 262144, "sliding_window": 1024,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 10, "max_position_embeddings": 262144,
        "tie_word_embeddings": True, "dtype": "bfloat16",
    }},
    "gpt-oss-20b": GPT_OSS | {"num_hidden_layers": 24, "num_local_experts": 32},
    "gpt-oss-120b": GPT_OSS | {"num_hidden_layers": 36, "num_local_experts": 128},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a runtime said that the weights take on each GPU, in GiB.

    ``kept`` are the modules that the checkpoint does not quantize, ``vision`` the values of its encoders.
    """

    model: str
    logged: float
    source: str
    form: Form = "BF16"
    parallel: int = 1
    kept: tuple[str, ...] = ()
    vision: int = 0


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """``gib`` of cache on each GPU hold ``tokens`` in total, or just one request of that length."""

    model: str
    gib: float
    tokens: int
    source: str
    parallel: int = 1
    kv_dtype: str = "auto"
    runtime: str = "vllm"
    one_request: bool = False
    max_model_len: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


WEIGHTS = (
    Weights(model="Llama-3.1-8B", logged=14.9888, source="vllm-project/vllm#10517, RTX 3090"),
    Weights(model="Llama-3.1-8B", logged=14.96, source="vllm-project/vllm#10511 (Meta-Llama-3-8B, same shapes)"),
    Weights(model="Llama-3.1-8B", logged=7.48, parallel=2, source="vllm-project/vllm#10511, -tp 2"),
    Weights(
        model="Llama-3.1-8B", logged=8.4926, form="F8", source="no address: a vLLM 0.6.3.post1 log, quantization=fp8"
    ),
    Weights(model="Llama-3.1-70B", logged=67.7229, form="I8", source="vllm-project/vllm#12569, quantized.w8a8"),
    Weights(model="Qwen2-0.5B", logged=0.9348, source="no address: a vLLM 0.13.0 log on Ascend, Qwen2-0.5B-Instruct"),
    Weights(model="Qwen2.5-1.5B", logged=2.89, source="no address: a vLLM log, Qwen2.5-1.5B-Instruct"),
    Weights(model="Qwen2.5-3B", logged=5.7915, source="no address: a vLLM log on T4, Qwen2.5-3B-Instruct"),
    Weights(model="Qwen2.5-32B", logged=18.15, form="AWQ", source="no address: a vLLM log, Qwen2.5-32B-Instruct-AWQ"),
    Weights(model="Qwen3-30B-A3B", logged=56.9001, source="no address: a vLLM log, Qwen3-30B-A3B"),
    Weights(model="Qwen3-30B-A3B", logged=28.4767, parallel=2, source="no address: a vLLM log, Qwen3-30B-A3B, TP=2"),
    Weights(model="Qwen3-30B-A3B", logged=14.2474, parallel=4, source="vllm-project/vllm#17327, TP=4"),
    Weights(model="Qwen2.5-14B", logged=13.9476, parallel=2, source="vllm-project/vllm#13061, R1-Distill, 2x 4090"),
    Weights(
        model="Qwen2.5-72B",
        logged=17.8716,
        form="GPTQ8",
        parallel=4,
        source="xorbitsai/inference#2389, Qwen2.5-72B-Instruct-GPTQ-Int8",
    ),
    Weights(model="Qwen3-4B", logged=7.6785, source="kyuz0/amd-strix-halo-vllm-toolboxes#5, on ROCm"),
    Weights(
        model="Mixtral-8x7B",
        logged=11.0802,
        form="GPTQ",
        parallel=2,
        source="vllm-project/vllm#23066, TheBloke's Mixtral-8x7B-v0.1-GPTQ",
    ),
    Weights(model="gemma-3-1b", logged=1.9134, source="vllm-project/vllm#14696"),
    Weights(model="gpt-oss-20b", logged=13.72, form="MXFP4", source="myoceane.fr, vLLM 0.19.0 on A100"),
    Weights(model="gpt-oss-120b", logged=65.9651, form="MXFP4", source="vllm-project/vllm#23278, Marlin on H100"),
    Weights(model="gemma-3-27b", logged=13.1665, parallel=4, source="vllm-project/vllm#15676, 4 GPUs"),
    Weights(model="Qwen3.5-35B-A3B", logged=64.69, source="no address: a vLLM log, Qwen3.5-35B-A3B"),
    Weights(model="Qwen-7B", logged=14737.2578 / 1024, source="vllm-project/vllm#7256, Qwen-7B-Chat"),
    Weights(
        model="Llama-3.1-405B",
        logged=57.752,
        form="F8",
        parallel=8,
        kept=("*.self_attn.*", "model.layers.0.mlp.*", "model.layers.125.mlp.*"),
        source="vllm-project/vllm#6746, Meta-Llama-3.1-405B-Instruct-FP8 of July 2024",
    ),
    Weights(
        model="gemma-4-31B",
        logged=31.18,
        form="NVFP4",
        kept=("*.self_attn.*",),
        vision=576_424_556,  # of the 31,273,088,876 values that its page at the Hub counts
        source="robotmunki.com/pages/vllm-startup-log-annotated.html, nvidia/Gemma-4-31B-IT-NVFP4",
    ),
    Weights(
        model="Qwen3.5-27B",
        logged=14.28,
        form="F8-BLOCK",
        parallel=2,
        vision=460_730_096,
        source="vllm-project/recipes#810, Qwen3.8-27B-FP8 (same shapes), 2x RTX 5090",
    ),
    Weights(
        model="Qwen3.5-27B",
        logged=12.02,
        form="NVFP4",
        parallel=2,
        kept=("*.linear_attn.in_proj*",),
        vision=460_730_096,
        source="vllm-project/recipes#810, Inferact/Qwen3.8-27B-NVFP4 (same shapes); kept: 1CatAI/1Cat-vLLM#228",
    ),
)
TOKENS = (
    Tokens(model="Llama-3.1-8B", gib=3.81, tokens=1952 * 16, source="vllm-project/vllm#10517, RTX 3090"),
    Tokens(model="Llama-3.1-8B", gib=2.89, tokens=1478 * 16, source="vllm-project/vllm#10517, RTX 3090, 29k"),
    Tokens(model="Qwen3-1.7B", gib=18.78, tokens=175_856, source="vllm-project/vllm#33263, 24 GB"),
    Tokens(
        model="Qwen2-0.5B", gib=30_891_205_120 / GIB, tokens=2_513_920,
        source="no address: a vLLM 0.13.0 log, Qwen2-0.5B",
    ),
    Tokens(model="Qwen2.5-1.5B", gib=0.56, tokens=20_992, source="no address: a vLLM log, Qwen2.5-1.5B-Instruct"),
    Tokens(
        model="Qwen2.5-32B", gib=4.0, tokens=16384, one_request=True,
        source="no address: a vLLM log, Qwen2.5-32B-Instruct-AWQ",
    ),
    Tokens(model="Qwen3-235B-A22B", gib=8.11, tokens=178_880, parallel=4, source="vllm-project/vllm#21348, 4x H100"),
    Tokens(
        model="Qwen3-235B-A22B", gib=16.46, tokens=367_404, parallel=4, runtime="sglang",
        source="vllm-project/vllm#21348, SGLang: K 8.23 and V 8.23 GiB",
    ),
    Tokens(model="Phi-4", gib=45.21, tokens=14815 * 16, source="no address: a vLLM log, Phi-4, A100"),
    Tokens(model="DeepSeek-V2-Lite", gib=0.95, tokens=32768, one_request=True, source="vllm-project/vllm#15871"),
    Tokens(
        model="Qwen3.5-27B", gib=8.18, tokens=262_144, one_request=True, kv_dtype="fp8", max_model_len=262_144,
        source="no address: a vLLM log of a Qwen3.5-27B shape, fp8 KV, no prefix caching",
        parameters={"enable_prefix_caching": False},
    ),
    Tokens(
        model="Qwen3.5-35B-A3B", gib=6.01, tokens=569_878, kv_dtype="fp8", max_model_len=131_072,
        source="noonghunna/club-3090#652, Qwen3.6-35B-A3B NVFP4 (same shapes) on RTX 5090",
    ),
    Tokens(
        model="Qwen3.5-35B-A3B", gib=5.98, tokens=int(4.33 * 131_072), kv_dtype="fp8", max_model_len=131_072,
        source="noonghunna/club-3090#612",
    ),
    Tokens(model="Qwen3-14B", gib=6.51, tokens=42_656, source="LMCache/LMCache#1739"),
    Tokens(model="Pixtral-12B", gib=17.72, tokens=7259 * 16, source="dphnAI/sonar#1320 (a fork of vLLM), A6000"),
    Tokens(model="Pixtral-12B", gib=10.53, tokens=4314 * 16, source="dphnAI/sonar#1320 (a fork of vLLM), A6000"),
    Tokens(
        model="MiniMax-M2.7", gib=23.25, tokens=196_608, one_request=True, parallel=2,
        source="eugr/spark-vllm-docker#396, AWQ, 2x DGX Spark",
    ),
    Tokens(
        model="MiniMax-M2.7", gib=28.74, tokens=240_816, parallel=2, max_model_len=196_608,
        source="eugr/spark-vllm-docker#396, AWQ, 2x DGX Spark",
    ),
    Tokens(
        model="Kimi-Linear-48B-A3B", gib=2.30, tokens=int(2.48 * 120_000), parallel=2, max_model_len=120_000,
        source="vllm-project/vllm#28228, AWQ, 2x RTX 3090",
        parameters={"enable_prefix_caching": True, "max_num_batched_tokens": 64_000},
    ),
    Tokens(
        model="Mistral-Small-4-119B", gib=22.5, tokens=1_048_576, one_request=True, max_model_len=1_048_576,
        source="kaito-project/kaito#2132",
    ),
)  # fmt: skip
BLOCKS = (
    ("Qwen3.5-9B", "auto", 528, "no address: a vLLM log"),
    ("Qwen3.5-9B", "fp8", 1056, "no address: a vLLM log"),
    ("Qwen3.5-27B", "auto", 784, "no address: a vLLM log, autoround W4A16"),
    ("Qwen3.5-27B", "fp8", 1568, "noonghunna/club-3090#1047, Qwen3.8-27B (same shapes)"),
    ("Qwen3.5-35B-A3B", "auto", 1056, "no address: a vLLM log on MI300"),
    ("Qwen3.5-35B-A3B", "fp8", 2096, "no address: a vLLM log, Qwen3.6-35B-A3B NVFP4"),
)


def facts(
    model: str,
    form: Form = "BF16",
    parameters: Mapping[str, Any] | None = None,
    kept: tuple[str, ...] = (),
    vision: int = 0,
) -> Facts:
    config = CONFIGS[model]
    found = headers(config, form, kept, vision)
    statements: dict[str, dict[str, Any]] = {
        "F8": {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}},
        "F8-BLOCK": {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        "NVFP4": {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}},
        "AWQ": {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}},
        "I8": {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {}}},
    }
    statements["GPTQ"] = {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": -1, "sym": True}}
    statements["GPTQ8"] = {"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 128, "sym": True}}
    config = {**config, **statements.get(form, {})}
    model_config = model_facts(config, None)
    shape = shape_of(config)
    return Facts(
        label=model,
        config=config,
        quantization=detect(config, found),
        weight_parts=weight_parts(found, shape.hidden_layers),
        weight_size=found[0].file_size,
        context_length=model_config.context_length,
        model_type=model_config.model_type,
        dtype=model_config.dtype,
        engine_parameters={"vllm": dict(parameters or {})},
    )


#: What is known to miss by more than 1 %, and why; a miss that goes away fails the test too.
WEIGHT_MISSES = {
    ("Qwen2-0.5B", 1): "15 MiB that the allocator rounds up to are more than 1 % of so small a model",
    ("Qwen2.5-14B", 2): "1.1 % less; why is not known",
    ("Qwen3-4B", 1): "2.3 % less on ROCm; why is not known",
    ("gemma-3-1b", 1): "two rotary tables, and what the allocator rounds up, are more than 1 % of so small a model",
    ("gemma-3-27b", 4): "the log counts the vision part too, which the shapes here leave out",
    ("gemma-4-31B", 1): "1.7 % less: vLLM copies the values out of keys that are both, and keeps two rotary tables",
}


@pytest.mark.parametrize("run", WEIGHTS, ids=lambda run: f"{run.model}-{run.form}-tp{run.parallel}")
def test_weights_within_one_percent(run: Weights) -> None:
    known = facts(run.model, run.form, kept=run.kept, vision=run.vision)
    settings = resolve(known, GPU, run.parallel, "vllm", Options(tensor_parallel=run.parallel))
    found = weights_per_gpu(known, shape_of(known.config), settings) / GIB
    miss = found / run.logged - 1
    why = WEIGHT_MISSES.get((run.model, run.parallel), "")
    print(
        f"{run.model:18} {run.form:8} tp{run.parallel}  {found:8.3f} GiB  logged {run.logged:8.3f}  {miss:+.2%}  {why}"
    )
    within = abs(miss) <= 0.01
    assert within is ((run.model, run.parallel) not in WEIGHT_MISSES), f"{found:.3f} GiB, {run.source}"


@pytest.mark.parametrize("run", TOKENS, ids=lambda run: f"{run.model}-{run.runtime}-tp{run.parallel}-{run.gib:.2f}")
def test_kv_tokens_within_five_percent(run: Tokens) -> None:
    known = facts(run.model, parameters=run.parameters)
    options = Options(tensor_parallel=run.parallel, kv_dtype=run.kv_dtype, max_model_len=run.max_model_len)
    settings = resolve(known, GPU, run.parallel, run.runtime, options)
    cache = cache_of(shape_of(known.config).layers, settings)
    assert cache is not None, run.source
    memory = int(run.gib * GIB)
    length = run.max_model_len or 4096
    found = run.gib * run.tokens / (cache.request(run.tokens) / GIB) if run.one_request else None
    if found is None:
        found = cache.requests(length, memory) * length
    miss = found / run.tokens - 1
    print(
        f"{run.model:18} {run.runtime:6} tp{run.parallel}  {found:12,.0f} tokens  logged {run.tokens:12,}  {miss:+.2%}"
    )
    assert abs(miss) <= 0.05, run.source


@pytest.mark.parametrize(("model", "kv_dtype", "block", "source"), BLOCKS)
def test_blocks_of_hybrid_models_are_as_logged(model: str, kv_dtype: str, block: int, source: str) -> None:
    known = facts(model)
    cache = cache_of(shape_of(known.config).layers, resolve(known, GPU, 1, "vllm", Options(kv_dtype=kv_dtype)))
    assert cache is not None and cache.block == block, source


def test_there_are_enough_runs_that_anybody_can_look_up() -> None:
    named = {run.model for run in (*WEIGHTS, *TOKENS) if not run.source.startswith("no address")}
    named |= {model for model, _, _, source in BLOCKS if not source.startswith("no address")}
    print(f"{len(named)} models with a public address: {', '.join(sorted(named))}")
    assert len(named) >= 24
