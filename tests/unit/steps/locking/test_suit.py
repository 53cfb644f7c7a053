"""Packages for GPUs that the manifest names: parameters that fit them, and a word where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import tiny_model, write_flat

from hf_pack.api import checking
from hf_pack.errors import UsageError
from hf_pack.gpu.facts import Facts
from hf_pack.model.manifest import PathSource
from hf_pack.steps.advice.check import facts_of_package
from hf_pack.steps.locking import add as adding
from hf_pack.steps.locking.propose import Wishes
from hf_pack.steps.locking.suit import Aim, shortcomings

CONFIG = {"max_position_embeddings": 262144}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return new_bench(tmp_path)


def added(bench: Bench, aim: Aim, **config: object) -> adding.Added:
    model = tiny_model(config={**CONFIG, **config})
    place = write_flat(bench.home / "acme--tiny-llm", model)
    source = PathSource(path=str(place))
    return adding.add(
        source, Wishes(), adding.Choice(), bench.workspace, bench.sources, bench.store, bench.notes, aim=aim
    )


def facts(bench: Bench) -> Facts:
    return facts_of_package(bench.load("tiny-llm"), bench.store)


def test_parameters_fit_the_targets_and_the_manifest_says_why(bench: Bench) -> None:
    found = added(bench, checking.aim_at(["L4", "2x T4"]))
    manifest = bench.load("tiny-llm").manifest
    assert manifest.targets == ("L4", "2x T4")
    assert manifest.vllm == {"dtype": "auto", "max_model_len": 262144, "tensor_parallel_size": 2}
    text = bench.manifest("tiny-llm").read_text()
    assert 'targets = ["L4", "2x T4"]' in text
    assert found.reasons and all(f"# {reason}" in text for reason in found.reasons)
    assert not list(shortcomings(facts(bench), ("vllm", "triton"), checking.aim_at(manifest.targets)))


def test_a_model_that_declares_its_quantization_gets_no_key_for_it(bench: Bench) -> None:
    stated = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    found = added(bench, checking.aim_at(["L4"]), quantization_config=stated)
    assert "quantization" not in found.manifest.vllm


def test_nothing_changes_without_targets(bench: Bench) -> None:
    found = added(bench, checking.aim_at([]))
    assert (found.manifest.targets, found.reasons) == ((), ())
    assert found.manifest.vllm == {"dtype": "auto", "max_model_len": 8192}


def test_what_does_not_run_on_a_target_is_said_with_the_reason(bench: Bench) -> None:
    found = added(bench, checking.aim_at(["V100-32", "L4"]))
    assert any(reason.startswith("does not run on V100-32") for reason in found.reasons)
    (word,) = shortcomings(facts(bench), ("vllm",), checking.aim_at(found.manifest.targets))
    assert word.startswith("tiny-llm is for V100-32, but with vllm: unsupported: ")


def test_what_no_longer_fits_is_said(bench: Bench) -> None:
    added(bench, checking.aim_at(["L4"]))
    manifest = bench.manifest("tiny-llm")
    manifest.write_text(manifest.read_text().replace("max_model_len = 262144", "max_model_len = 999999999"))
    (word,) = shortcomings(facts(bench), ("vllm",), checking.aim_at(["L4"]))
    assert "999,999,999" in word


def test_a_gpu_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="no such GPU"):
        checking.aim_at(["L44"])
