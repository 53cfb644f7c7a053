"""vLLM: engine parameters are the fields of ``EngineArgs`` (``vllm/engine/arg_utils.py``), each a flag of its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch
from hf_pack.runtimes import flags
from hf_pack.runtimes.environment import UNSET, directories, environment, of_vllm
from hf_pack.runtimes.served import Options, Served, merged_hub

NAME = "vllm"
PORT = 8000
IMAGE = "vllm/vllm-openai:latest"

#: Flags that can only be set (``action="store_true"``); every other boolean has a ``--no-`` form.
_ONLY_TRUE = frozenset({"aggregate_engine_logging", "data_parallel_multi_port_external_lb", "disable_log_stats"})
#: Fields that the command line does not reach.
_NO_FLAG = frozenset({"enable_mm_processor_stats", "mamba_config", "model_weights", "tokens_only"})


def launch(packages: Sequence[Served], options: Options) -> Launch:
    """Serve the first package; the repo ids of the others resolve too (a draft model, an adapter).

    The model is named by the path of its snapshot, which no cache, revision or network can change; clients call it by
    its repo id.
    """
    package = packages[0]
    parameters = package.parameters(NAME)
    name = parameters.get("served_model_name", str(package.repo_id))
    host = flags.value_of(options.arguments, "--host") or options.host
    port = flags.port_of(options.arguments, "--port") or options.port or PORT
    own = {"served_model_name": name, **_tokenizer(package), **parameters, "host": host, "port": port}
    given = flags.given(options.arguments)
    notes = [f"vLLM has no flag for {key}: it is not passed on" for key in parameters if key in _NO_FLAG]
    asked = flags.value_of(options.arguments, "--served-model-name") or name
    names = asked if isinstance(asked, list | tuple) else [asked]
    return Launch(
        runtime=NAME,
        argv=(*options.command, package.model, *_arguments(own, given), *options.arguments),
        environment=environment(packages, options, of_vllm(options)),
        unset=UNSET,
        directories=directories(options),
        view=options.view,
        view_files=merged_hub(packages),
        host=host,
        port=port,
        more_ports=(),
        loads=package.model,
        model_names=tuple(map(flags.word, names)),
        notes=tuple(notes),
    )


def _tokenizer(package: Served) -> JsonObject:
    """A model in one file may have its tokenizer beside it."""
    return {"tokenizer": package.directory} if package.weights_file and package.has_tokenizer else {}


def _arguments(parameters: JsonObject, given: frozenset[str]) -> Iterator[str]:
    for key, value in parameters.items():
        name = flags.flag(key)
        if name in given or key in _NO_FLAG:
            continue
        if value is False:
            if key not in _ONLY_TRUE:
                yield f"--no-{name.removeprefix('--')}"
        elif key == "device_ids" and isinstance(value, list | tuple):
            yield from (name, ",".join(map(flags.word, value)))
        else:
            yield from flags.rendered(name, value)
