"""One question each: what a model, a GPU and a runtime give."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from tests.spec.model_shapes import Form, headers
from tests.spec.test_published_runs import CONFIGS, facts

from hf_pack.api import checking
from hf_pack.gpu.catalogue import GIB, Gpu
from hf_pack.gpu.check import Check, Verdict, check
from hf_pack.gpu.facts import Facts, Options
from hf_pack.gpu.settings import resolve
from hf_pack.weights.quantization import detect

(L4,) = checking.gpus_for(["L4"])


def asked(known: Facts, *gpus: str, runtime: str = "vllm", **options: Any) -> Check:
    return check(known, checking.gpus_for(gpus), runtime, Options(**options), checking.matrix())


def changed(known: Facts, **values: Any) -> Facts:
    from dataclasses import replace

    return replace(known, **values)


def quantized(stated: dict[str, Any], form: Form = "AWQ") -> Facts:
    config = {**CONFIGS["Llama-3.1-8B"], "quantization_config": stated}
    known = facts("Llama-3.1-8B", form)
    return changed(known, config=config, quantization=detect(config, headers(config, form)))


def errors(found: Check) -> str:
    return "\n".join(reason.text for reason in found.reasons if reason.level == "error")


def test_an_8b_model_on_an_l4() -> None:
    found = asked(facts("Llama-3.1-8B"), "L4", max_model_len=16384)
    assert (found.verdict, found.kernel, found.dtype) == (Verdict.OK, "native", "bfloat16")
    assert found.max_model_len is not None and 28_000 < found.max_model_len < 36_000
    assert found.sure_model_len is not None and found.sure_model_len < found.max_model_len


def test_the_models_own_length_is_what_vllm_would_take() -> None:
    found = asked(facts("Llama-3.1-8B"), "L4")
    assert (found.verdict, found.context_length) == (Verdict.DOES_NOT_FIT, 131072)
    assert "longest context that fits" in errors(found)


def test_sglang_starts_and_refuses_long_requests() -> None:
    found = asked(facts("Llama-3.1-8B"), "RTX 5090", runtime="sglang")
    assert found.verdict is Verdict.OK
    assert any("refuses requests longer" in reason.text for reason in found.reasons)
    assert asked(facts("Llama-3.1-8B"), "T4", runtime="sglang").verdict is Verdict.UNSUPPORTED


def test_sglangs_own_names_are_understood_and_vllms_fraction_is_not_its() -> None:
    own = {"context_length": 4096, "mem_fraction_static": 0.5, "max_running_requests": 7, "disable_cuda_graph": True}
    both = {"vllm": {"gpu_memory_utilization": 0.3, "max_model_len": 512}, "sglang": own}
    settings = resolve(changed(facts("Llama-3.1-8B"), engine_parameters=both), L4, 1, "sglang", Options())
    assert (settings.max_model_len, settings.memory_fraction, settings.sequences) == (4096, 0.5, 7)
    assert settings.eager
    default = resolve(facts("Llama-3.1-8B"), L4, 1, "sglang", Options()).memory_fraction
    alone = changed(facts("Llama-3.1-8B"), engine_parameters={"vllm": both["vllm"]})
    assert resolve(alone, L4, 1, "sglang", Options()).memory_fraction == default


@pytest.mark.parametrize(
    ("runtime", "tables", "count"),
    [
        ("vllm", {"vllm": {"tensor_parallel_size": 2}}, 2),
        ("sglang", {"sglang": {"tp_size": 4}}, 4),
        ("triton", {"vllm": {"tensor_parallel_size": 2}, "triton": {"tensor_parallel_size": 8}}, 8),
        ("vllm", {"vllm": {"tensor_parallel_size": -1}}, 1),
        ("vllm", {"sglang": {"tp_size": 4}}, 1),
    ],
)
def test_one_named_gpu_stands_for_as_many_as_the_package_takes(
    runtime: str, tables: dict[str, Any], count: int
) -> None:
    known = changed(facts("Llama-3.1-8B"), engine_parameters=tables)
    gpus = checking.repeated((L4,), known, runtime, Options())
    found = check(known, gpus, runtime, Options(max_model_len=4096), checking.matrix())
    assert (len(gpus), found.tensor_parallel, found.verdict) == (count, count, Verdict.OK)


@pytest.mark.parametrize("factor", [0, -2, 1e300, float("inf"), float("nan"), "8"])
def test_a_stretch_that_is_none_counts_as_absent(factor: Any) -> None:
    known = facts("Qwen2.5-1.5B")
    stretched = changed(known, config={**known.config, "rope_scaling": {"type": "linear", "factor": factor}})
    assert asked(stretched, "L4").context_length == 32768
    twice = changed(known, config={**known.config, "rope_scaling": {"type": "linear", "factor": 2.0}})
    assert asked(twice, "L4").context_length == 65536


@pytest.mark.parametrize("share", [0, -1, 2, float("inf"), float("nan"), "0.5"])
def test_a_share_of_the_memory_that_is_none_is_the_default(share: Any) -> None:
    stated = facts("Qwen2.5-1.5B", parameters={"gpu_memory_utilization": share})
    assert asked(stated, "L4").memory == asked(facts("Qwen2.5-1.5B"), "L4").memory


def test_auto_fit_takes_what_there_is() -> None:
    assert asked(facts("Llama-3.1-8B"), "L4", max_model_len=-1).verdict is not Verdict.DOES_NOT_FIT


@pytest.mark.parametrize("gpus", ["A100-80", "2x A100-80"])
def test_what_is_proposed_fits(gpus: str) -> None:
    known = facts("Llama-3.1-70B")
    found = asked(known, gpus)
    assert found.changes
    for change in found.changes:
        word, _, value = change.arguments.partition(" ")
        if word == "--max-model-len":
            assert asked(known, gpus, max_model_len=int(value)).verdict is Verdict.OK
        elif word == "--tp":
            assert asked(known, f"{value}x A100-80").verdict is Verdict.OK
        elif word == "--gpu":
            _, more, _, count = shlex.split(change.arguments)
            assert asked(known, more, tensor_parallel=int(count)).verdict is Verdict.OK
    (more,) = [change.arguments for change in found.changes if change.what == "4 such GPUs"]
    assert more == ("--tp 4" if gpus == "A100-80" else '--gpu "4x A100 80GB SXM4" --tp 4')


def test_bfloat16_on_turing_becomes_float16_unless_forced() -> None:
    known = facts("Qwen2.5-1.5B")
    found = asked(known, "T4", max_model_len=4096)
    assert (found.dtype, found.scheme, found.verdict) == ("float16", "fp16", Verdict.OK)
    assert asked(known, "T4", dtype="bfloat16").verdict is Verdict.UNSUPPORTED


def test_gemma_on_turing_runs_in_float32_and_takes_twice_the_memory() -> None:
    known = changed(facts("Qwen2.5-1.5B"), model_type="gemma2")
    assert asked(known, "T4", max_model_len=2048).dtype == "float32"
    assert asked(known, "T4").weight_bytes == pytest.approx(2 * asked(known, "L4").weight_bytes, rel=0.01)
    assert asked(known, "L4", dtype="float16").verdict is Verdict.UNSUPPORTED


@pytest.mark.parametrize(("word", "row"), [("fp8", "fp8-tensor"), ("fp8_per_block", "fp8-block")])
def test_plain_weights_made_fp8_while_loaded_are_answered_as_fp8(word: str, row: str) -> None:
    known = changed(facts("Llama-3.1-8B"), engine_parameters={"vllm": {"quantization": word}})
    found = asked(known, "T4", max_model_len=4096)
    assert (found.scheme, found.kernel) == (row, "weight-only")
    assert found.weight_bytes < 0.6 * asked(facts("Llama-3.1-8B"), "T4").weight_bytes


def test_heads_must_divide_and_gpus_must_be_there() -> None:
    assert "do not divide" in errors(asked(facts("Qwen2.5-1.5B"), "8x L4"))
    assert "are there" in errors(asked(facts("Llama-3.1-8B"), "L4", tensor_parallel=2))


def test_a_length_over_the_models_own_is_refused() -> None:
    assert "more than the model's own" in errors(asked(facts("Qwen2.5-1.5B"), "H100", max_model_len=40_000))


def test_concurrency_counts() -> None:
    known = facts("Llama-3.1-8B")
    assert asked(known, "L4", max_model_len=8192, concurrency=2).verdict is Verdict.OK
    assert asked(known, "L4", max_model_len=8192, concurrency=64).verdict is Verdict.DOES_NOT_FIT


def test_an_fp8_cache_holds_twice_the_tokens() -> None:
    known = facts("Llama-3.1-8B")
    plain, small = asked(known, "H100", max_model_len=8192), asked(known, "H100", max_model_len=8192, kv_dtype="fp8")
    assert plain.kv_tokens and small.kv_tokens == pytest.approx(2 * plain.kv_tokens, rel=0.001)


def test_a_method_that_the_parameters_force_and_the_files_do_not_state() -> None:
    known = quantized({"quant_method": "awq", "bits": 4, "group_size": 128})
    wrong = changed(known, engine_parameters={"vllm": {"quantization": "fp8"}})
    assert asked(wrong, "L4").verdict is Verdict.UNSUPPORTED
    assert "take the parameter out" in errors(asked(wrong, "L4"))
    alias = changed(known, engine_parameters={"vllm": {"quantization": "awq_marlin", "max_model_len": 4096}})
    assert asked(alias, "L4").verdict is Verdict.OK


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"quant_method": "awq", "bits": 8, "group_size": 128}, "of 8 bits"),
        ({"quant_method": "awq", "bits": 4, "group_size": 96}, "groups of 96"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": False}, "asymmetric"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": True}, "desc_act"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128, "sym": True}, "of 3 bits"),
    ],
)
def test_settings_that_no_kernel_takes(stated: dict[str, Any], message: str) -> None:
    assert message in errors(asked(quantized(stated), "L4"))


def test_a_broken_package_is_unsupported_whatever_the_gpu() -> None:
    config = CONFIGS["Llama-3.1-8B"]
    known = changed(facts("Llama-3.1-8B", "F8"), config=config, quantization=detect(config, headers(config, "F8")))
    assert asked(known, "H100").verdict is Verdict.UNSUPPORTED


def test_unknown_shapes_are_not_guessed() -> None:
    known = changed(facts("Llama-3.1-8B"), config={"model_type": "nobody-knows"}, context_length=None)
    found = asked(known, "H100")
    assert (found.verdict, found.kv_bytes_per_token) == (Verdict.UNKNOWN, None)
    assert asked(known, "T4").verdict is Verdict.DOES_NOT_FIT, "the weights alone are too much"


ENCODER = {
    "model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 30522,
    "intermediate_size": 3072, "max_position_embeddings": 512,
}  # fmt: skip


@pytest.mark.parametrize("runtime", ["vllm", "sglang", "triton"])
def test_an_encoder_keeps_nothing_between_tokens(runtime: str) -> None:
    known = changed(facts("Qwen2-0.5B"), config=ENCODER, model_type="bert", context_length=512)
    found = asked(known, "L4", runtime=runtime)
    assert (found.verdict, found.max_model_len, found.kv_bytes_per_token) == (Verdict.OK, 512, 0)
    assert (found.kv_tokens, found.concurrency) == (None, None)
    tight = Gpu(name="SM89", sm=89, memory=found.weight_bytes + found.memory.overhead.low + GIB // 4,
                memory_source="stated")  # fmt: skip
    if runtime != "sglang":
        near = check(known, [tight], runtime, Options(memory_fraction=1.0), checking.matrix())
        assert (near.verdict, near.sure_model_len) == (Verdict.UNKNOWN, 0)


def test_what_is_unknown_for_another_reason_than_its_size_is_not_told_to_shrink() -> None:
    nobody = Gpu(name="SM110", sm=110, memory=80 * GIB, memory_source="stated")
    found = check(facts("Qwen2.5-1.5B"), [nobody], "vllm", Options(max_model_len=4096), checking.matrix())
    assert (found.verdict, found.changes) == (Verdict.UNKNOWN, ())


def test_memory_that_others_hold_keeps_vllm_from_starting() -> None:
    here = Gpu(name="L4", sm=89, memory=22 * GIB, memory_source="measured", free=10 * GIB)
    found = check(facts("Qwen2.5-1.5B"), [here], "vllm", Options(max_model_len=4096), checking.matrix())
    assert "free now" in errors(found)


def test_triton_is_vllm() -> None:
    known = facts("Llama-3.1-8B")
    one, other = asked(known, "L4", max_model_len=8192), asked(known, "L4", runtime="triton", max_model_len=8192)
    assert (one.kernel, one.kv_tokens) == (other.kernel, other.kv_tokens)
