"""Triton Inference Server with its vLLM backend: the files of a model repository, and the server's command line.

The backend reads ``<version>/model.json`` alone and passes it whole to vLLM's ``AsyncEngineArgs``; the server
reads ``config.pbtxt`` (schema: ``model_config.proto``). The texts are fixed for each layout version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from hf_pack.model.hub_ids import RepoId, is_commit
from hf_pack.model.json_value import JsonObject
from hf_pack.model.launch import Launch, ViewFile
from hf_pack.model.manifest import Manifest
from hf_pack.runtimes import flags
from hf_pack.runtimes.environment import UNSET, directories, environment, of_vllm
from hf_pack.runtimes.served import Options, Served, merged_hub

NAME = "triton"
PORT = 8000  #: HTTP; GRPC is the next one, metrics the one after it
IMAGE = "nvcr.io/nvidia/tritonserver:25.04-vllm-python-py3"  # there is no tag for the latest one

#: Tokens stream, so the model is decoupled; vLLM batches by itself and owns the GPUs, hence KIND_MODEL and no batching.
#: The tensors are those of the backend's ``auto_complete_config``, so that a server which does not auto-complete
#: starts it too. No ``name``: the directory names the model.
CONFIG_PBTXT = """\
backend: "vllm"
max_batch_size: 0
model_transaction_policy {
  decoupled: true
}
instance_group [
  {
    count: 1
    kind: KIND_MODEL
  }
]
input [
  {
    name: "text_input"
    data_type: TYPE_STRING
    dims: [ 1 ]
  },
  {
    name: "stream"
    data_type: TYPE_BOOL
    dims: [ 1 ]
    optional: true
  },
  {
    name: "sampling_parameters"
    data_type: TYPE_STRING
    dims: [ 1 ]
    optional: true
  },
  {
    name: "exclude_input_in_output"
    data_type: TYPE_BOOL
    dims: [ 1 ]
    optional: true
  }
]
output [
  {
    name: "text_output"
    data_type: TYPE_STRING
    dims: [ -1 ]
  }
]
"""


def engine_parameters(manifest: Manifest) -> JsonObject:
    """The vLLM engine parameters under Triton: those of ``[vllm]``, overridden or completed by ``[triton]``."""
    return {**manifest.vllm, **manifest.triton}


def model_defaults(manifest: Manifest) -> bytes:
    """``model-defaults.json``: engine parameters without the model, for runtimes that assemble ``model.json``."""
    return _json(engine_parameters(manifest))


def model_json(manifest: Manifest, repo_id: RepoId, snapshot_id: str) -> bytes:
    """``1/model.json``: names the model by repo id and revision, so that it holds wherever the package lies.

    A snapshot id that is not a commit does not resolve as a revision offline; ``refs/main`` does.
    """
    revision = snapshot_id if is_commit(snapshot_id) else "main"
    return _json({**engine_parameters(manifest), "model": str(repo_id), "revision": revision})


def launch(packages: Sequence[Served], options: Options) -> Launch:
    """Serve every package by its Triton name, in the server's default mode.

    A dual package's own repository is served as it is. Several are links in one repository; of a single package, which
    only an absolute path can name, the repository is made in the state directory.
    """
    view_files = (*merged_hub(packages), *_repository(packages))
    own = packages[0].triton_repository if len(packages) == 1 else None
    repository = own or f"{options.view}/triton"
    host = flags.value_of(options.arguments, "--http-address") or options.host
    port = flags.port_of(options.arguments, "--http-port") or options.port or PORT
    settings = {
        "--model-repository": repository,
        "--http-address": host,
        "--http-port": str(port),
        "--grpc-address": host,
        "--grpc-port": str(port + 1),
        "--metrics-address": host,
        "--metrics-port": str(port + 2),
    }
    given = flags.given(options.arguments)
    more = [
        flags.port_of(options.arguments, f"--{kind}-port") or port + distance
        for kind, distance in (("grpc", 1), ("metrics", 2))
        if (flags.value_of(options.arguments, f"--allow-{kind}") or "true").lower() not in ("false", "0")
    ]
    return Launch(
        runtime=NAME,
        argv=(
            *options.command,
            *(f"{name}={value}" for name, value in settings.items() if name not in given),
            *options.arguments,
        ),
        environment=environment(packages, options, of_vllm(options)),
        unset=UNSET,
        directories=directories(options),
        view=options.view,
        view_files=view_files,
        host=host,
        port=port,
        more_ports=tuple(more),
        loads=repository,
        model_names=tuple(package.triton_model_name or "" for package in packages),
        notes=(),
    )


def _repository(packages: Sequence[Served]) -> Iterator[ViewFile]:
    """``triton/<name>`` for every package, or for none where one has a repository itself."""
    if len(packages) == 1 and packages[0].triton_repository is not None:
        return
    for package in packages:
        inside = f"triton/{package.triton_model_name}"
        if package.triton_repository is not None:
            yield ViewFile(path=inside, contents=f"{package.triton_repository}/{package.triton_model_name}")
            continue
        parameters = {**package.parameters("vllm"), **package.parameters(NAME), "model": package.model}
        yield ViewFile(path=f"{inside}/config.pbtxt", contents=CONFIG_PBTXT.encode())
        yield ViewFile(path=f"{inside}/1/model.json", contents=_json(parameters))


def _json(document: JsonObject) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
