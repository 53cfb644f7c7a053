from __future__ import annotations

import pytest

from hf_pack.gpu.facts import Facts
from hf_pack.model.json_value import JsonObject
from hf_pack.runtimes.contradictions import contradictions
from hf_pack.weights.quantization import Quantization

LLAMA: JsonObject = {
    "model_type": "llama",
    "max_position_embeddings": 4096,
    "num_attention_heads": 12,
    "hidden_size": 96,
}
YARN: JsonObject = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
LINEAR: JsonObject = {"rope_type": "linear", "factor": 2.0}


def facts(config: JsonObject, method: str = "none") -> Facts:
    quantization = Quantization(
        method=method, scheme="none", activations=None, bits=None, group_size=None, source="", notes=(), broken=False
    )
    return Facts(
        label="x",
        config=config,
        quantization=quantization,
        weight_parts=None,
        weight_size=0,
        context_length=4096,
        model_type=str(config["model_type"]),
    )


def keys(config: JsonObject, parameters: JsonObject, *, runtime: str = "vllm", method: str = "none") -> list[str]:
    return [problem.key for problem in contradictions(facts(config, method), runtime, parameters)]


@pytest.mark.parametrize(
    ("config", "length", "wrong"),
    [
        (LLAMA, 4096, False),
        (LLAMA, -1, False),
        (LLAMA, 4097, True),
        ({**LLAMA, "rope_scaling": LINEAR}, 8192, False),
        ({**LLAMA, "rope_scaling": LINEAR}, 8193, True),
        ({**LLAMA, "rope_scaling": YARN}, 16384, False),
        ({**LLAMA, "rope_scaling": YARN}, 16385, True),
        ({**LLAMA, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4097, True),
        ({**LLAMA, "model_max_length": 9000}, 9000, False),
    ],
)
def test_a_context_is_not_longer_than_the_models(config: JsonObject, length: int, wrong: bool) -> None:
    assert keys(config, {"max_model_len": length}) == (["max_model_len"] if wrong else [])
    if length > 0:
        assert keys(config, {"context_length": length}, runtime="sglang") == (["context_length"] if wrong else [])


def test_overrides_of_the_configuration_leave_lengths_alone() -> None:
    assert keys(LLAMA, {"max_model_len": 9999, "hf_overrides": {"max_position_embeddings": 9999}}) == []


@pytest.mark.parametrize(("parallel", "wrong"), [(1, False), (4, False), (5, True), (0, True), (24, True)])
def test_tensor_parallelism_divides_the_heads(parallel: int, wrong: bool) -> None:
    assert keys(LLAMA, {"tensor_parallel_size": parallel}) == (["tensor_parallel_size"] if wrong else [])
    assert keys(LLAMA, {"tp_size": parallel}, runtime="sglang") == (["tp_size"] if wrong else [])


@pytest.mark.parametrize(
    ("method", "forced", "wrong"),
    [("awq", "awq_marlin", False), ("awq", "gptq", True), ("none", "fp8", False), ("compressed-tensors", "fp8", True)],
)
def test_quantization_is_the_models_own(method: str, forced: str, wrong: bool) -> None:
    assert keys(LLAMA, {"quantization": forced}, method=method) == (["quantization"] if wrong else [])


def test_some_models_do_not_run_in_float16() -> None:
    assert keys({**LLAMA, "model_type": "gemma3"}, {"dtype": "half"}) == ["dtype"]
    assert keys(LLAMA, {"dtype": "half"}) == []
