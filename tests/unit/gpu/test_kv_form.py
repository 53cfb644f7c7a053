"""What each dtype of a KV cache takes, by the words that the runtimes have for it."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from tests.spec.test_published_runs import facts

from hf_pack.api import checking
from hf_pack.gpu.check import Check, Verdict, check
from hf_pack.gpu.facts import Options
from hf_pack.gpu.kv_form import KV_FORMS

#: They leave some layers in 16 bits, or have a layout of their own.
NOT_KNOWN = ("turboquant_", "ultraquant_", "nvfp4_ds_mla")


def choices(runtime: str) -> set[str]:
    schema = json.loads((resources.files("hf_pack") / "data" / f"engine-{runtime}.json").read_text())
    words = {word for *_, types in schema["keys"]["kv_cache_dtype"] for word in types.split("|")}
    return {word.removeprefix("=") for word in words if word.startswith("=")}


def with_cache(runtime: str, dtype: str) -> Check:
    known = facts("Llama-3.1-8B", parameters={"kv_cache_dtype": dtype, "max_model_len": 8192})
    return check(known, checking.gpus_for(["H100"]), runtime, Options(), checking.matrix())


@pytest.mark.parametrize("runtime", ["vllm", "sglang"])
def test_every_word_of_the_runtimes_is_known_or_said_not_to_be(runtime: str) -> None:
    words = choices(runtime) - {"auto"}
    assert len(words) >= 8
    for word in words:
        assert (word in KV_FORMS) is not word.startswith(NOT_KNOWN), word


@pytest.mark.parametrize(
    ("dtype", "per_token"),
    [
        ("auto", 32 * 8 * 256 * 2),
        ("fp8", 32 * 8 * 256),
        ("int8_per_token_head", 32 * 8 * (256 + 8)),
        ("int4_per_token_head", 32 * 8 * (128 + 8)),
        ("nvfp4", 32 * 8 * (128 + 16)),
    ],
)
def test_engine_parameters_count_as_they_say(dtype: str, per_token: int) -> None:
    found = with_cache("vllm", dtype)
    assert (found.verdict, found.kv_dtype, found.kv_bytes_per_token) == (Verdict.OK, dtype, per_token)


def test_a_dtype_that_nobody_here_knows_is_not_counted_as_something_else() -> None:
    found = with_cache("vllm", "turboquant_4bit_nc")
    assert (found.verdict, found.kv_bytes_per_token, found.kv_tokens) == (Verdict.UNKNOWN, None, None)
    assert any("a KV cache of dtype turboquant_4bit_nc" in reason.text for reason in found.reasons)
