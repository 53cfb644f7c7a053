"""The packages of package-hf-models on six GPUs: what they are, whether they run and how, whether they fit.

Shapes are those of the models' published configurations, quantization as their repositories describe it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.spec.model_shapes import Form, headers
from tests.spec.test_published_runs import QWEN3_5

from hf_pack.api import checking
from hf_pack.gpu.check import Check, check
from hf_pack.gpu.facts import Facts, Options
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.quantization import detect
from hf_pack.weights.tensor_parts import weight_parts

GPUS = ("T4", "A10", "L4", "A100-40", "H100", "RTX 5090")
SEED: dict[str, Any] = {"gpu_memory_utilization": 0.85, "max_model_len": 4096, "dtype": "auto"}

PHI_4_MINI: dict[str, Any] = {
    "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
    "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064, "tie_word_embeddings": True,
    "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "torch_dtype": "bfloat16",
    "sliding_window": 262144, "rope_scaling": {"type": "longrope"},
}  # fmt: skip
PHI_3_5_MINI: dict[str, Any] = PHI_4_MINI | {
    "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064, "tie_word_embeddings": False,
    "torch_dtype": "float16",
}  # fmt: skip
SMOLLM3: dict[str, Any] = {
    "model_type": "smollm3", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
    "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 128256, "tie_word_embeddings": True,
    "max_position_embeddings": 65536, "torch_dtype": "bfloat16", "layer_types": ["full_attention"] * 36,
    "use_sliding_window": False, "sliding_window": None,
}  # fmt: skip
QWEN_2B: dict[str, Any] = {"model_type": "qwen3_5", "text_config": QWEN3_5 | {
    "model_type": "qwen3_5_text", "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24,
    "num_attention_heads": 8, "num_key_value_heads": 2, "linear_num_value_heads": 16,
}, "tie_word_embeddings": True}  # fmt: skip
QWEN_4B: dict[str, Any] = {"model_type": "qwen3_5", "text_config": QWEN3_5 | {
    "model_type": "qwen3_5_text", "hidden_size": 2560, "intermediate_size": 9216, "num_hidden_layers": 32,
    "num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_value_heads": 32,
}, "tie_word_embeddings": True}  # fmt: skip
TORCHAO_DYNAMIC: dict[str, Any] = {
    "quant_method": "torchao",
    "quant_type": {"default": {"_type": "Float8DynamicActivationFloat8WeightConfig", "_version": 2, "_data": {}}},
}
AWQ: dict[str, Any] = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}
FP8_BLOCK: dict[str, Any] = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


@dataclass(frozen=True, kw_only=True)
class Package:
    """``answers`` are verdict and kernel on each of the GPUs, in their order, with vLLM."""

    name: str
    config: dict[str, Any]
    form: Form
    method: str
    scheme: str
    broken: bool = False
    quantization: dict[str, Any] | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    answers: tuple[str, ...] = field(default=())


NO, OK = "unsupported unsupported", "ok "
PACKAGES = (
    Package(
        name="phi-4-mini-instruct-fp8-hf", config=PHI_4_MINI, form="F8", quantization=TORCHAO_DYNAMIC,
        method="torchao", scheme="torchao-fp8-dynamic", metadata=(("tensor_names", "[]"),),
        answers=(NO, NO, "ok native", NO, "ok native", "ok native"),
    ),
    Package(  # the local quantizer's output: quantized tensors that no configuration states
        name="phi-4-mini-instruct-fp8-torchao", config=PHI_4_MINI | {"quant_method": "torchao"}, form="F8",
        method="fp8", scheme="fp8-tensor", broken=True, answers=(NO,) * 6,
    ),
    Package(
        name="phi-4-mini-instruct-fp8-sglang", config=PHI_4_MINI | {"quant_method": "torchao"}, form="F8",
        method="fp8", scheme="fp8-tensor", broken=True, answers=(NO,) * 6,
    ),
    Package(
        name="vllm-phi-3-5-mini-instruct-awq", config=PHI_3_5_MINI, form="AWQ", quantization=AWQ,
        method="awq", scheme="awq", answers=("ok marlin",) * 6,
    ),
    Package(
        name="vllm-qwen3-5-2b", config=QWEN_2B, form="BF16", method="none", scheme="none", answers=("ok native",) * 6,
    ),
    Package(
        name="vllm-qwen3-5-4b-fp8", config=QWEN_4B, form="F8", quantization=FP8_BLOCK,
        method="fp8", scheme="fp8-block",
        answers=("ok weight-only",) * 4 + ("ok native",) * 2,
    ),
    Package(
        name="vllm-smollm3-3b-fp8", config=SMOLLM3 | {"quant_method": "torchao"}, form="F8",
        method="fp8", scheme="fp8-tensor", broken=True, answers=(NO,) * 6,
    ),
)  # fmt: skip


def facts(package: Package) -> Facts:
    from dataclasses import replace

    config = package.config | ({"quantization_config": package.quantization} if package.quantization else {})
    found = tuple(replace(one, metadata=package.metadata) for one in headers(config, package.form))
    known = model_facts(config, None)
    return Facts(
        label=package.name,
        config=config,
        quantization=detect(config, found),
        weight_parts=weight_parts(found, shape_of(config).hidden_layers),
        weight_size=found[0].file_size,
        context_length=known.context_length,
        model_type=known.model_type,
        dtype=known.dtype,
        engine_parameters={"vllm": dict(SEED)},
    )


def answers(package: Package, runtime: str = "vllm") -> list[Check]:
    known = facts(package)
    return [check(known, checking.gpus_for([gpu]), runtime, Options(), checking.matrix()) for gpu in GPUS]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_the_package_is(package: Package) -> None:
    found = facts(package).quantization
    assert (found.method, found.scheme, found.broken) == (package.method, package.scheme, package.broken), found.notes


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_six_gpus_with_vllm(package: Package) -> None:
    found = answers(package)
    for gpu, one in zip(GPUS, found, strict=True):
        print(f"{package.name:34} {gpu:9} {one.verdict:12} {one.kernel:12} {one.concurrency}")
    assert [f"{one.verdict} {one.kernel}" for one in found] == list(package.answers)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_sglang_has_no_turing_and_no_torchao(package: Package) -> None:
    found = answers(package, "sglang")
    assert found[0].verdict == "unsupported"
    if package.method == "torchao" or package.broken:
        assert {one.verdict for one in found} == {"unsupported"}


def test_the_published_estimate_of_full_length_requests() -> None:
    """Phi-4-mini in 16 bits at 0.85 and 4096: 8 on a T4 and 20 on an L4 in the study, +-1 GiB (2 requests)."""
    plain = Package(name="phi-4-mini", config=PHI_4_MINI, form="BF16", method="none", scheme="none")
    counts = [one.concurrency for one in answers(plain)]
    assert counts[0] == pytest.approx(8, abs=2.5) and counts[2] == pytest.approx(20, abs=2.5)
