"""Engine parameters for targets: what is chosen fits by the same arithmetic, and the next longer length does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.spec.model_shapes import Form
from tests.spec.test_published_runs import facts

from hf_pack.api.checking import catalogue, matrix
from hf_pack.gpu.check import Verdict, check
from hf_pack.gpu.defaults import Defaults, TargetGpus, defaults_for
from hf_pack.gpu.facts import Options


def target(name: str) -> TargetGpus:
    return TargetGpus(name=name, gpus=catalogue().find(name))


def chosen(model: str, *names: str, form: Form = "BF16") -> Defaults:
    return defaults_for(facts(model, form), [target(name) for name in names], matrix())


@pytest.mark.parametrize(
    ("model", "form", "names", "expected"),
    [
        ("Llama-3.1-8B", "BF16", ["A100-80"], {"max_model_len": 65536}),
        ("Llama-3.1-8B", "BF16", ["L4"], {"max_model_len": 8192, "kv_cache_dtype": "fp8"}),
        ("Qwen2-0.5B", "BF16", ["H100"], {"max_model_len": 32768}),
        ("Llama-3.1-70B", "BF16", ["H100"], {"tensor_parallel_size": 2}),
        ("Llama-3.1-70B", "BF16", ["4x H100"], {"tensor_parallel_size": 4}),
    ],
)
def test_what_is_chosen(model: str, form: Form, names: list[str], expected: Mapping[str, Any]) -> None:
    found = chosen(model, *names, form=form).parameters
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Qwen2.5-3B", "Phi-4", "Qwen3.5-9B", "gemma-3-27b"])
@pytest.mark.parametrize("names", [["L4"], ["T4", "L4"], ["A10", "H100"], ["RTX 5090"]])
def test_it_fits_on_every_target_and_twice_as_long_would_not(model: str, names: list[str]) -> None:
    known = facts(model)
    found = defaults_for(known, [target(name) for name in names], matrix())
    assert "quantization" not in found.parameters
    packaged = replace(known, engine_parameters={"vllm": found.parameters})
    able = [name for name in names if not any(f"does not run on {name}:" in text for text in found.reasons)]
    count = int(str(found.parameters.get("tensor_parallel_size", 1)))
    for name in able:
        answer = check(packaged, target(name).gpus * count, "vllm", Options(), matrix())
        assert answer.verdict is Verdict.OK, (name, answer.reasons)
    length = int(str(found.parameters["max_model_len"]))
    longer = Options(max_model_len=2 * length, concurrency=4)
    groups = [target(name).gpus * count for name in able]
    assert any(check(packaged, gpus, "vllm", longer, matrix()).verdict is not Verdict.OK for gpus in groups)


def test_a_target_that_it_does_not_run_on_is_named_and_left_out() -> None:
    found = chosen("Llama-3.1-8B", "V100-32", "L4")
    assert found.reasons[0].startswith("does not run on V100-32: ") and found.parameters["max_model_len"]
    assert chosen("Llama-3.1-8B", "V100-32").parameters == {}


def test_a_small_kv_cache_where_the_context_would_be_short() -> None:
    sixteen = chosen("Llama-3.1-8B", "RTX 3090")
    eight = chosen("Llama-3.1-8B", "RTX 4090")
    assert "kv_cache_dtype" not in sixteen.parameters
    assert ("kv_cache_dtype" in eight.parameters) is any("kv_cache_dtype" in text for text in eight.reasons)


def test_every_number_has_its_reason() -> None:
    found = chosen("Llama-3.1-70B", "H100")
    assert any("tensor_parallel_size 2" in text for text in found.reasons)
    assert any("requests of" in text and "2x H100" in text for text in found.reasons)


def test_an_encoder_takes_its_own_length() -> None:
    config: dict[str, Any] = {"model_type": "bert", "num_hidden_layers": 12, "num_attention_heads": 12}
    known = replace(facts("Qwen2-0.5B"), config=config, model_type="bert", context_length=512)
    found = defaults_for(known, [target("L4")], matrix())
    assert found.parameters == {"max_model_len": 512}
    assert len(found.reasons) == 1 and "at once" not in found.reasons[0]
