"""vLLM's own validation of engine arguments accepts what `check` calls good, and refuses what it calls bad.

No engine starts, so that this is quick: what shows without a GPU is what configuration alone decides.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.bench import new_bench
from tests.e2e.environments import missing, python
from tests.models import tiny_model, write_flat

from hf_pack.api import checking
from hf_pack.gpu.catalogue import GIB, Gpu
from hf_pack.gpu.check import Check, Verdict, check
from hf_pack.gpu.facts import Options
from hf_pack.steps.advice.check import facts_of_package

_MISSING = missing("vllm")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING))]

SCRIPT = Path(__file__).parent / "scripts" / "engine_config.py"
GPU = Gpu(name="H100", sm=90, memory=79 * GIB, memory_source="measured")


def compressed(**weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None}
    if weights["type"] == "float":
        group["input_activations"] = {
            "num_bits": 8, "type": "float", "strategy": "token", "dynamic": True, "symmetric": True,
        }  # fmt: skip
    form = "float-quantized" if weights["type"] == "float" else "pack-quantized"
    return {
        "quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }  # fmt: skip


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic"}
CT_FP8 = compressed(num_bits=8, type="float", strategy="channel", symmetric=True, dynamic=False)
CT_INT4 = compressed(num_bits=4, type="int", strategy="group", group_size=128, symmetric=True, dynamic=False)

CASES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], bool]] = {
    "plain": (None, {"max_model_len": 32}, True),
    "its own length": (None, {"max_model_len": 64}, True),
    "longer than the model": (None, {"max_model_len": 65}, False),
    "quantized while loading": (None, {"quantization": "fp8_per_tensor"}, True),
    "awq of a plain model": (None, {"quantization": "awq"}, False),
    "gptq of a plain model": (None, {"quantization": "gptq"}, False),
    "awq": (AWQ, {}, True),
    "awq called so": (AWQ, {"quantization": "awq"}, True),
    "awq called gptq": (AWQ, {"quantization": "gptq"}, False),
    "awq of 3 bits": ({**AWQ, "bits": 3}, {}, False),
    "gptq": (GPTQ, {}, True),
    "gptq called fp8": (GPTQ, {"quantization": "fp8"}, False),
    "fp8": (FP8, {}, True),
    "fp8 called so": (FP8, {"quantization": "fp8"}, True),
    "fp8 in blocks": ({**FP8, "weight_block_size": [128, 128]}, {}, True),
    "fp8 called compressed-tensors": (FP8, {"quantization": "compressed-tensors"}, False),
    "compressed-tensors fp8": (CT_FP8, {}, True),
    "compressed-tensors int4": (CT_INT4, {}, True),
    "bitsandbytes without its plugin": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, {}, False),
    "heads that do not divide": (None, {"tensor_parallel_size": 3}, False),
}


@dataclass(frozen=True)
class Said:
    """By the engine and by `check`."""

    engine: dict[str, Any]
    check: Check


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    home = tmp_path_factory.mktemp("agrees")
    checks, arguments = {}, []
    for number, (name, (quantization, parameters, _)) in enumerate(CASES.items()):
        config = {"quantization_config": quantization} if quantization else {}
        place = write_flat(home / f"acme--m{number}", tiny_model(config=config))
        bench = new_bench(home / str(number))
        bench.add(place)
        facts = facts_of_package(bench.load(f"m{number}"), bench.store)
        facts = replace(facts, engine_parameters={"vllm": parameters})
        count = parameters.get("tensor_parallel_size", 1)
        checks[name] = check(facts, [GPU] * count, "vllm", Options(), checking.matrix())
        arguments.append({"model": str(place), **parameters})
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HOME": str(home)}
    ran = subprocess.run(
        [python("vllm"), SCRIPT], input=json.dumps(arguments), capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(CASES)
    return {name: Said(engine, checks[name]) for name, engine in zip(CASES, answers, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_the_engine_and_check_agree(name: str, said: dict[str, Said]) -> None:
    good = CASES[name][2]
    assert said[name].engine["accepted"] is good, said[name].engine
    verdict = said[name].check.verdict
    reasons = [reason.text for reason in said[name].check.reasons]
    assert (verdict is Verdict.OK) is good, (verdict, reasons)
    if not good:
        assert verdict is Verdict.UNSUPPORTED and any(reason.level == "error" for reason in said[name].check.reasons)


def test_the_engine_takes_the_length_that_check_names(said: dict[str, Said]) -> None:
    for name in ("plain", "its own length", "fp8"):
        assert said[name].engine["max_model_len"] == said[name].check.context_length
