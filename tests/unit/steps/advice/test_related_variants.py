"""What the Hub's list of quantized models tells of a variant."""

from __future__ import annotations

import pytest
from tests.spec.test_published_runs import facts

from hf_pack.model.hub_ids import RepoId
from hf_pack.model.json_value import JsonObject
from hf_pack.ports import RelatedModel
from hf_pack.steps.advice.variants import facts_of_related

FP8: JsonObject = {"quantization_config": {"quant_method": "fp8"}}


def variant(config: JsonObject, parameters: dict[str, int], *tags: str) -> RelatedModel:
    return RelatedModel(
        repo_id=RepoId.parse("acme/variant"), downloads=1, tags=tags, config=config, parameters=parameters
    )


def test_its_size_is_of_every_dtype_that_the_format_has() -> None:
    listed = {"BF16": 100, "F8_E4M3FNUZ": 1000, "I16": 10, "F4": 8, "of tomorrow": 5}
    found = facts_of_related(variant(FP8, listed), facts("Qwen3-4B"))
    assert found is not None
    assert (found.weight_size, found.weight_parts, found.quantization.scheme) == (
        200 + 1000 + 20 + 4,
        None,
        "fp8-tensor",
    )
    assert found.config["hidden_size"] == 2560


@pytest.mark.parametrize(
    "model",
    [
        variant(FP8, {"BF16": 100}, "gguf"),
        variant(FP8, {"BF16": 100}, "mlx"),
        variant({}, {"BF16": 100}),
        variant({"quantization_config": {}}, {"BF16": 100}),
        variant(FP8, {}),
        variant(FP8, {"of tomorrow": 5}),
    ],
)
def test_what_vllm_does_not_take_or_nobody_measured_is_left_out(model: RelatedModel) -> None:
    assert facts_of_related(model, facts("Qwen3-4B")) is None
