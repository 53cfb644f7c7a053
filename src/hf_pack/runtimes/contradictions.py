"""Engine parameters that the model's own files contradict, whatever the GPU."""

from __future__ import annotations

from collections.abc import Iterator

from hf_pack.gpu.facts import Facts
from hf_pack.gpu.objections import accepted_methods
from hf_pack.gpu.settings import derived_length, refuses_float16
from hf_pack.model.json_value import JsonObject
from hf_pack.runtimes.engine_schema import ParameterProblem
from hf_pack.runtimes.flags import word
from hf_pack.weights.cache_layers import shape_of
from hf_pack.weights.model_facts import language_configs
from hf_pack.weights.strict_json import child, whole

_LENGTH = {"vllm": "max_model_len", "sglang": "context_length"}
_PARALLEL = {"vllm": "tensor_parallel_size", "sglang": "tp_size"}
_OVERRIDES = {"vllm": "hf_overrides", "sglang": "json_model_override_args"}


def contradictions(facts: Facts, runtime: str, parameters: JsonObject) -> Iterator[ParameterProblem]:
    """What ``facts`` speak against in a runtime's own parameters (``vllm`` or ``sglang``).

    Rules: vLLM ``config/model.py`` (``_get_and_verify_max_len``, ``_verify_quantization``,
    ``verify_with_parallel_config``, ``_FLOAT16_NOT_SUPPORTED_MODELS``). Where the parameters change the model's
    configuration, its lengths and heads are not held against them.
    """
    yield from _quantization(facts, runtime, parameters)
    dtype = parameters.get("dtype")
    if dtype in ("float16", "half") and refuses_float16(facts):
        yield ParameterProblem(
            key="dtype", problem=f"{facts.model_type} models do not run in it", expected="auto", found=word(dtype)
        )
    if parameters.get(_OVERRIDES[runtime]):
        return
    key, longest = _LENGTH[runtime], longest_length(facts)
    length = whole(parameters.get(key))
    if length is not None and longest is not None and length > longest:
        yield ParameterProblem(
            key=key,
            problem="longer than the model's own context",
            expected=f"{longest} tokens at most",
            found=str(length),
            hint="leave it out for the model's own; -1 takes what fits" if runtime == "vllm" else "",
        )
    key, heads = _PARALLEL[runtime], shape_of(facts.config).attention_heads
    parallel = whole(parameters.get(key))
    if parallel is not None and heads is not None and (parallel < 1 or heads % parallel):
        yield ParameterProblem(
            key=key,
            problem="does not divide the attention heads",
            expected=f"a divisor of {heads}",
            found=str(parallel),
        )


def longest_length(facts: Facts) -> int | None:
    """The longest context in tokens that any version allows: YaRN's factor was counted once more in older ones, and
    ``model_max_length`` in ``config.json`` may be higher."""
    found = [derived_length(facts)]
    for _, part in language_configs(facts.config):
        found.append(whole(part.get("model_max_length")))
        for rope in (child(part, "rope_scaling"), child(part, "rope_parameters")):
            if rope is not None and rope.get("rope_type", rope.get("type")) in ("yarn", "deepseek_yarn"):
                original, factor = whole(rope.get("original_max_position_embeddings")), rope.get("factor")
                if isinstance(factor, int | float) and original is not None:
                    found.append(int(original * factor))
    if found[0] is None:
        return None
    return max(length for length in found if length is not None)


def _quantization(facts: Facts, runtime: str, parameters: JsonObject) -> Iterator[ParameterProblem]:
    forced, method = parameters.get("quantization"), facts.quantization.method
    if isinstance(forced, str) and method != "none" and forced not in accepted_methods(method, runtime):
        yield ParameterProblem(
            key="quantization",
            problem="not the model's method",
            expected=f"{method}, which the model's files say",
            found=forced,
            hint="remove it: the runtime reads the files",
        )
