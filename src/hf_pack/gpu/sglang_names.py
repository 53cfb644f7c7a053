"""vLLM's engine parameters that SGLang has under another name, or under the same one, with the same meaning.

SGLang 0.5: ``sglang/srt/arg_groups/fields``.
"""

from __future__ import annotations

from collections.abc import Mapping

SGLANG_NAMES: Mapping[str, str] = {
    "cpu_offload_gb": "cpu_offload_gb",
    "data_parallel_size": "dp_size",
    "disable_custom_all_reduce": "disable_custom_all_reduce",
    "dtype": "dtype",
    "enable_lora": "enable_lora",
    "enforce_eager": "disable_cuda_graph",
    "hf_overrides": "json_model_override_args",
    "limit_mm_per_prompt": "limit_mm_data_per_request",
    "max_lora_rank": "max_lora_rank",
    "max_loras": "max_loras_per_batch",
    "max_model_len": "context_length",
    "max_num_batched_tokens": "chunked_prefill_size",
    "max_num_queued_reqs": "max_queued_requests",
    "max_num_seqs": "max_running_requests",
    "nnodes": "nnodes",
    "node_rank": "node_rank",
    "pipeline_parallel_size": "pp_size",
    "seed": "random_seed",
    "served_model_name": "served_model_name",
    "stream_interval": "stream_interval",
    "tensor_parallel_size": "tp_size",
    "trust_remote_code": "trust_remote_code",
}
