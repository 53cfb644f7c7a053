"""Triton Inference Server with its vLLM backend: the files of a model repository.

The backend reads ``<version>/model.json`` alone and passes it whole to vLLM's ``AsyncEngineArgs``; the server
reads ``config.pbtxt`` (schema: ``model_config.proto``). The texts are fixed for each layout version.
"""

from __future__ import annotations

import json

from hf_pack.model.hub_ids import RepoId, is_commit
from hf_pack.model.json_value import JsonObject
from hf_pack.model.manifest import Manifest

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


def _json(document: JsonObject) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
