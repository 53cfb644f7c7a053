"""The environment in which any runtime serves a package: offline, from its cache, writing elsewhere.

Sources: ``huggingface_hub.constants``, ``transformers.utils.hub``, ``vllm.envs``, ``sglang.srt.environ``, Triton (the
compiler) and FlashInfer for where they keep what they compile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_pack.runtimes.served import Options, Served, hub_of

#: Variables by which a runtime would look for the model, its code or a token somewhere else. The old names of caches
#: win over ``HF_HUB_CACHE`` in older clients; ModelScope is another hub.
UNSET = (
    "HF_ASSETS_CACHE", "HF_ENDPOINT", "HF_MODULES_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_XET_CACHE",
    "HUGGINGFACE_HUB_CACHE", "HUGGING_FACE_HUB_TOKEN", "PYTORCH_PRETRAINED_BERT_CACHE", "PYTORCH_TRANSFORMERS_CACHE",
    "SGLANG_USE_MODELSCOPE", "TRANSFORMERS_CACHE", "VLLM_MODEL_REDIRECT_PATH", "VLLM_USE_MODELSCOPE",
)  # fmt: skip


def environment(packages: Sequence[Served], options: Options, own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What all runtimes are told, and what one is told of its ``own``; sorted by name."""
    state = options.state
    shared = {
        "HF_HUB_CACHE": hub_of(packages, options),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "HF_HOME": f"{state}/hf",
        "XDG_CACHE_HOME": f"{state}/cache",
        "XDG_CONFIG_HOME": f"{state}/config",
        "TRITON_CACHE_DIR": f"{state}/cache/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{state}/cache/torchinductor",
        "FLASHINFER_WORKSPACE_BASE": f"{state}/cache",
        # Garbage collectors look into the environments of processes: what is being served is no garbage.
        "HF_PACK_SERVED": " ".join(package.store_path for package in packages),
    }
    return tuple(sorted({**shared, **own}.items()))


def of_vllm(options: Options) -> dict[str, str]:
    """What vLLM is told beside that, also inside Triton."""
    return {
        "VLLM_CACHE_ROOT": f"{options.state}/cache/vllm",
        "VLLM_CONFIG_ROOT": f"{options.state}/config/vllm",
        "VLLM_NO_USAGE_STATS": "1",
    }


def directories(options: Options) -> tuple[str, ...]:
    """Which directories a runtime writes to."""
    return tuple(f"{options.state}/{name}" for name in ("cache", "config", "hf", "hub"))
