"""The runtimes that packages are served by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch
from hf_pack.runtimes import sglang, smoke_request, triton, vllm
from hf_pack.runtimes.served import Options, Served
from hf_pack.runtimes.smoke_request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One runtime: how it is started, where it says that it is ready, how it is asked."""

    name: str
    title: str
    launch: Callable[[Sequence[Served], Options], Launch]
    port: int  #: when none is asked for
    command: tuple[str, ...]  #: what stands before the model's path where it is on PATH
    image: str  #: its official container image
    health: str  #: answers 200 when it serves
    request: Callable[[str, str], Request]  #: of model name and prompt
    text: Callable[[JsonObject], str]
    installed_by: str  #: how a person gets it


KNOWN: Mapping[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            name=vllm.NAME,
            title="vLLM",
            launch=vllm.launch,
            port=vllm.PORT,
            command=("vllm", "serve"),
            image=vllm.IMAGE,
            health="/health",
            request=smoke_request.completion,
            text=smoke_request.completion_text,
            installed_by="pip install vllm",
        ),
        Runtime(
            name=sglang.NAME,
            title="SGLang",
            launch=sglang.launch,
            port=sglang.PORT,
            command=("python3", "-m", "sglang.launch_server", "--model-path"),
            image=sglang.IMAGE,
            health="/health",
            request=smoke_request.completion,
            text=smoke_request.completion_text,
            installed_by="pip install sglang",
        ),
        Runtime(
            name=triton.NAME,
            title="Triton",
            launch=triton.launch,
            port=triton.PORT,
            command=("tritonserver",),
            image=triton.IMAGE,
            health="/v2/health/ready",
            request=smoke_request.generation,
            text=smoke_request.generation_text,
            installed_by="use NVIDIA's image: --container docker",
        ),
    )
}
