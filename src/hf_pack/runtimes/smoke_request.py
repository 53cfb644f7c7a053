"""One small streaming request a runtime, and the text in what it sends back."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.model.json_value import JsonObject

TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST: path and JSON body. The answer is a stream of server-sent events."""

    path: str
    body: JsonObject


def completion(model_name: str, prompt: str) -> Request:
    """OpenAI's completions, which vLLM and SGLang have: greedy, as plain text without a chat template."""
    return Request(
        path="/v1/completions",
        body={"model": model_name, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stream": True},
    )


def completion_text(event: JsonObject) -> str:
    """The text of one event. Raises ValueError for one that is none."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        raise ValueError(f"expected choices, found {', '.join(event) or 'nothing'}")
    return "".join(str(choice.get("text", "")) for choice in choices if isinstance(choice, dict))


def generation(model_name: str, prompt: str) -> Request:
    """Triton's generate extension, with the tensors of the vLLM backend."""
    return Request(
        path=f"/v2/models/{model_name}/generate_stream",
        body={
            "text_input": prompt,
            "stream": True,
            "exclude_input_in_output": True,
            "sampling_parameters": f'{{"temperature": 0, "max_tokens": {TOKENS}}}',
        },
    )


def generation_text(event: JsonObject) -> str:
    """The text of one event. Raises ValueError for one that is none, with what the server says."""
    if "text_output" not in event:
        raise ValueError(str(event.get("error", f"expected text_output, found {', '.join(event) or 'nothing'}")))
    return str(event["text_output"])
