"""A Python backend that keeps to the contract of Triton's vLLM backend, which no package registry has.

Like it (``vllm_backend``, ``src/model.py``) this one needs decoupled mode, reads ``<version>/model.json`` and nothing
else of the repository, and passes all that is in it to ``AsyncEngineArgs`` of the vLLM that is installed, where an
unknown key is fatal. Then vLLM generates, or with ``HF_PACK_TEST_ENGINE=transformers`` the model and revision that the
engine arguments name, loaded by ``transformers`` in a quarter of the time.
"""

import asyncio
import json
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import triton_python_backend_utils as pb_utils
from vllm.engine.arg_utils import AsyncEngineArgs

INPUTS = (
    {"name": "text_input", "data_type": "TYPE_STRING", "dims": [1]},
    {"name": "stream", "data_type": "TYPE_BOOL", "dims": [1], "optional": True},
    {"name": "sampling_parameters", "data_type": "TYPE_STRING", "dims": [1], "optional": True},
    {"name": "exclude_input_in_output", "data_type": "TYPE_BOOL", "dims": [1], "optional": True},
)
OUTPUTS = ({"name": "text_output", "data_type": "TYPE_STRING", "dims": [-1]},)


class Engine(Protocol):
    def generate(self, prompt: str, sampling: Mapping[str, Any]) -> str: ...

    def stop(self) -> None: ...


class TransformersEngine:
    """The model that the arguments name."""

    def __init__(self, arguments: AsyncEngineArgs) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        place = {"pretrained_model_name_or_path": arguments.model, "revision": arguments.revision or "main"}
        self._tokenizer = AutoTokenizer.from_pretrained(**place)
        self._model = AutoModelForCausalLM.from_pretrained(**place)

    def generate(self, prompt: str, sampling: Mapping[str, Any]) -> str:
        if sampling.get("temperature") != 0:
            raise ValueError("this engine is greedy: temperature 0")
        ids = self._tokenizer(prompt, return_tensors="pt").input_ids
        found = self._model.generate(ids, max_new_tokens=sampling["max_tokens"], do_sample=False)
        return str(self._tokenizer.decode(found[0, ids.shape[1] :]))

    def stop(self) -> None:
        pass


class VllmEngine:
    """vLLM's own engine, on an event loop in a thread."""

    def __init__(self, arguments: AsyncEngineArgs) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._engine = self._wait(self._start(arguments))

    def generate(self, prompt: str, sampling: Mapping[str, Any]) -> str:
        return str(self._wait(self._generate(prompt, sampling)))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._engine.shutdown)

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _start(self, arguments: AsyncEngineArgs) -> Any:
        from vllm.v1.engine.async_llm import AsyncLLM

        return AsyncLLM.from_engine_args(arguments)

    async def _generate(self, prompt: str, sampling: Mapping[str, Any]) -> str:
        from vllm import SamplingParams

        text = ""
        async for output in self._engine.generate(prompt, SamplingParams(**sampling), request_id=os.urandom(8).hex()):
            text = output.outputs[0].text
        return text


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        known = config.as_dict()
        for tensors, add in ((INPUTS, config.add_input), (OUTPUTS, config.add_output)):
            there = {tensor["name"] for tensor in known["input"] + known["output"]}
            for tensor in tensors:
                if tensor["name"] not in there:
                    add(tensor)
        config.set_model_transaction_policy({"decoupled": True})
        config.set_max_batch_size(0)
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        if not pb_utils.using_decoupled_model_transaction_policy(config):
            raise pb_utils.TritonModelException("the vLLM backend needs the decoupled transaction policy")
        file = Path(pb_utils.get_model_dir(), "model.json")
        if not file.is_file():
            raise pb_utils.TritonModelException(f"{file}: engine arguments must be there")
        arguments = AsyncEngineArgs(**json.loads(file.read_text()))
        if (
            args["model_instance_kind"] == "GPU"
            and arguments.tensor_parallel_size * arguments.pipeline_parallel_size > 1
        ):
            raise pb_utils.TritonModelException("KIND_GPU is for one GPU: use KIND_MODEL")
        pb_utils.Logger.log_info(
            f"engine arguments: {arguments.model} {arguments.revision} max_model_len={arguments.max_model_len}"
        )
        engine = TransformersEngine if os.environ.get("HF_PACK_TEST_ENGINE") == "transformers" else VllmEngine
        self._engine: Engine = engine(arguments)

    def execute(self, requests: Sequence[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            try:
                response = self._answer(request)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                response = pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}"))
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answer(self, request: Any) -> Any:
        def given(name: str) -> Any:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy()[0]

        prompt = given("text_input").decode()
        sampling = json.loads(given("sampling_parameters") or request.parameters())
        text = self._engine.generate(prompt, sampling)
        # Without streaming the prompt stands before the answer, unless it is not wanted.
        wanted = not given("stream") and not given("exclude_input_in_output")
        text = prompt + text if wanted else text
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("text_output", np.asarray([text.encode()], dtype=np.object_))]
        )

    def finalize(self) -> None:
        self._engine.stop()
