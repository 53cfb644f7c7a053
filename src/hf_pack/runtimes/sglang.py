"""SGLang: engine parameters are the fields of ``ServerArgs``, each a flag of its name; booleans can only be set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch
from hf_pack.runtimes import flags
from hf_pack.runtimes.environment import UNSET, directories, environment
from hf_pack.runtimes.served import Options, Served, merged_hub
from hf_pack.runtimes.sglang_parameters import translate

NAME = "sglang"
PORT = 30000
IMAGE = "lmsysorg/sglang:latest"


def launch(packages: Sequence[Served], options: Options) -> Launch:
    """Serve the first package; the repo ids of the others resolve too (a draft model, an adapter).

    ``[vllm]`` in SGLang's words, overridden by ``[sglang]``. The model is named by the path of its snapshot.
    """
    package = packages[0]
    translated = translate(package.parameters("vllm"), package.parameters(NAME))
    parameters = translated.parameters
    name = flags.value_of(options.arguments, "--served-model-name") or parameters.get("served_model_name")
    name = flags.word(name) if isinstance(name, str) else str(package.repo_id)
    host = flags.value_of(options.arguments, "--host") or options.host
    port = flags.port_of(options.arguments, "--port") or options.port or PORT
    tokenizer = {"tokenizer_path": package.directory} if package.weights_file and package.has_tokenizer else {}
    own = {**tokenizer, **parameters, "served_model_name": name, "host": host, "port": port}
    return Launch(
        runtime=NAME,
        argv=(
            *options.command,
            package.model,
            *_arguments(own, flags.given(options.arguments)),
            *options.arguments,
        ),
        environment=environment(packages, options, {"SGLANG_CACHE_DIR": f"{options.state}/cache/sglang"}),
        unset=UNSET,
        directories=directories(options),
        view=options.view,
        view_files=merged_hub(packages),
        host=host,
        port=port,
        more_ports=(),
        loads=package.model,
        model_names=(name,),
        notes=translated.notes,
    )


def _arguments(parameters: JsonObject, given: frozenset[str]) -> Iterator[str]:
    for key, value in parameters.items():
        name = flags.flag(key)
        if name not in given and value is not False:
            yield from flags.rendered(name, value)
