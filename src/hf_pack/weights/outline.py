"""The part of a ``config.json`` that decides whether and how a model runs: small enough for a cache's index."""

from __future__ import annotations

from collections.abc import Mapping

from hf_pack.weights.strict_json import JsonValue

#: Everything that cache_layers, layer_kinds, model_facts and the memory arithmetic read. Of what is nested, the same.
_KEYS = frozenset(
    {
        # what it is
        "model_type", "text_config", "llm_config", "language_config", "dtype", "torch_dtype",
        # lengths
        "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length",
        "model_max_length", "original_max_position_embeddings", "rope_scaling", "rope_parameters", "rope_type",
        "type", "factor",
        # sizes
        "hidden_size", "n_embd", "d_model", "dim", "intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim",
        "moe_intermediate_size", "num_experts_per_tok", "num_experts_per_token", "moe_topk", "vocab_size",
        "tie_word_embeddings", "num_hidden_layers", "n_layer", "num_layers", "n_layers",
        # attention
        "num_attention_heads", "n_head", "num_heads", "num_key_value_heads", "n_head_kv", "num_kv_heads",
        "multi_query_group_num", "multi_query", "new_decoder_architecture", "attn_config", "kv_n_heads", "head_dim",
        "attention_head_dim", "kv_channels", "v_head_dim", "global_head_dim", "num_global_key_value_heads",
        "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "use_mla", "num_kv_shared_layers",
        # which layer is what
        "layer_types", "sliding_window", "use_sliding_window", "max_window_layers", "sliding_window_pattern",
        "_sliding_window_pattern", "attention_chunk_size", "no_rope_layers", "full_attention_interval",
        "attn_layer_period", "attn_layer_offset", "attn_layer_indices", "hybrid_override_pattern",
        "layers_block_type", "attn_type_list", "linear_attn_config", "full_attn_layers",
        # states
        "linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim",
        "linear_conv_kernel_dim", "mamba_ssm_dtype", "short_conv_kernel_size", "conv_L_cache", "mamba_num_heads",
        "mamba_n_heads", "n_mamba_heads", "mamba_head_dim", "mamba_d_head", "mamba_headdim", "ssm_state_size",
        "mamba_d_state", "state_size", "n_groups", "mamba_n_groups", "mamba_ngroups", "conv_kernel", "mamba_d_conv",
        "conv_kernel_size", "mamba_expand", "expand",
        # of the quantization what kernels and the KV cache ask for; the scheme is known
        "quantization_config", "compression_config", "quant_method", "sym", "desc_act", "group_size", "q_group_size",
        "kv_cache_quant_algo", "kv_cache_scheme", "num_bits",
    }
)  # fmt: skip


def outline(config: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The configuration without what no answer depends on.

    Law: a check of the outline, beside the model's summary, is the check of the configuration.
    """
    return {
        key: outline(value) if isinstance(value, Mapping) else value for key, value in config.items() if key in _KEYS
    }
