"""What is known of a model before it runs: everything that the answers of this room are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hf_pack.model.json_value import JsonObject
from hf_pack.weights.quantization import Quantization
from hf_pack.weights.tensor_parts import WeightPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A model, as its headers and configuration tell it.

    ``weight_parts`` are None where no header was read; then ``weight_size`` (bytes of the weight files) stands for
    them. ``engine_parameters`` are the package's tables by runtime. ``context_length`` is tokens.
    """

    label: str  #: for messages: name, store path or repo id
    config: JsonObject
    quantization: Quantization
    weight_parts: tuple[WeightPart, ...] | None
    weight_size: int
    context_length: int | None
    architectures: tuple[str, ...] = ()
    model_type: str | None = None
    dtype: str | None = None
    parameters: int | None = None
    engine_parameters: Mapping[str, JsonObject] = field(default_factory=dict)
    configs: Mapping[str, JsonObject] = field(default_factory=dict)  #: the small files that were read, parsed, by path
    files: tuple[str, ...] = ()  #: all paths
    repo_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked for; None leaves it to the package's engine parameters, then to the runtime's defaults."""

    tensor_parallel: int | None = None
    max_model_len: int | None = None  #: tokens
    concurrency: int | None = None  #: requests of full length at once
    kv_dtype: str | None = None  #: auto, fp8, bfloat16 …
    dtype: str | None = None
    memory_fraction: float | None = None  #: vLLM's gpu_memory_utilization, SGLang's mem_fraction_static
    runtime_version: str | None = None
