"""The text of every generated file, byte for byte: a change of any needs another layout version."""

from __future__ import annotations

import pytest
from tests import sample_package
from tests.models import FINGERPRINT

from hf_pack.layouts.lay_out import LAYOUT_VERSION
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.plan import Plan, RegularFile

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

MODEL_DEFAULTS = """\
{
  "disable_log_stats": true,
  "dtype": "auto",
  "gpu_memory_utilization": 0.85,
  "max_model_len": 2048
}
"""

MODEL_JSON = """\
{
  "disable_log_stats": true,
  "dtype": "auto",
  "gpu_memory_utilization": 0.85,
  "max_model_len": 2048,
  "model": "acme/Tiny-LLM",
  "revision": "REVISION"
}
"""

PROVENANCE = """\
{
  "repo_id": "acme/Tiny-LLM",
  "snapshot_id": "15852e8c16360a2fea060d615a32b45270f8a8fc",
  "licence": "apache-2.0",
  "engine_parameters": {
    "sglang": {
      "tp_size": 2
    },
    "triton": {
      "disable_log_stats": true,
      "max_model_len": 2048
    },
    "vllm": {
      "dtype": "auto",
      "gpu_memory_utilization": 0.85,
      "max_model_len": 4096
    }
  },
  "runtimes": {
    "vllm": ">=0.30"
  },
  "files": [
    {
      "path": "1_Pooling/config.json",
      "size": 20,
      "sha256": "POOLING"
    },
    {
      "path": "语言/übung 1.json",
      "size": 3,
      "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    }
  ],
  "patches": [
    {
      "file": "tokenizer_config.json",
      "reason": "„New“ is what runtimes know",
      "before": {
        "size": 27,
        "sha256": "BEFORE"
      },
      "after": {
        "size": 27,
        "sha256": "AFTER"
      }
    }
  ]
}
"""

EVERY = [(layout, storage) for layout in Layout for storage in Storage]
MARKER = ("share/tiny-1.5/flox-build-version-3", b"1.0.0+a1b2c3d\n")


def texts(plan: Plan) -> dict[str, bytes]:
    return {
        entry.path: entry.contents
        for entry in plan.entries
        if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    }


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_texts_of_each_layout_and_storage(layout: Layout, storage: Storage) -> None:
    found = texts(sample_package.plan(layout, storage))
    for path in sample_package.kept():
        snapshot = f"share/models/hub/models--acme--Tiny-LLM/snapshots/{sample_package.COMMIT}"
        directory = "share/models/tiny_1_5/weights" if layout is Layout.SINGLE else snapshot
        assert found.pop(f"{directory}/{path}") == sample_package.FILES[path]
    provenance = found.pop("share/tiny-1.5/hf-pack.json")
    assert provenance.startswith(b'{\n  "repo_id": "acme/Tiny-LLM",\n') and provenance.endswith(b"\n  ]\n}\n")

    expected = dict([MARKER])
    if layout.has_hub:
        expected["share/models/hub/models--acme--Tiny-LLM/refs/main"] = sample_package.COMMIT.encode()
    if layout.has_triton:
        expected["share/models/tiny_1_5/config.pbtxt"] = CONFIG_PBTXT.encode()
        expected["share/models/tiny_1_5/model-defaults.json"] = MODEL_DEFAULTS.encode()
    if layout is Layout.DUAL:
        expected["share/triton/tiny_1_5/config.pbtxt"] = CONFIG_PBTXT.encode()
        model_json = MODEL_JSON.replace("REVISION", sample_package.COMMIT).encode()
        expected["share/triton/tiny_1_5/1/model.json"] = model_json
    assert found == expected


def test_provenance_is_the_same_in_every_layout_and_says_nothing_of_the_machine() -> None:
    files = {path: sample_package.FILES[path] for path in ("1_Pooling/config.json", "语言/übung 1.json")}
    expected = PROVENANCE
    for word, contents in (
        ("POOLING", files["1_Pooling/config.json"]),
        ("BEFORE", sample_package.BEFORE),
        ("AFTER", sample_package.FILES["tokenizer_config.json"]),
    ):
        expected = expected.replace(word, sample_package.digest(contents).sha256.hex())
    for layout, storage in EVERY:
        found = texts(sample_package.plan(layout, storage, files=files))["share/tiny-1.5/hf-pack.json"]
        assert found == expected.encode()


def test_a_snapshot_id_that_is_no_commit_is_no_revision() -> None:
    found = texts(sample_package.plan(snapshot_id=FINGERPRINT))
    assert found["share/triton/tiny_1_5/1/model.json"] == MODEL_JSON.replace("REVISION", "main").encode()
    assert found["share/models/hub/models--acme--Tiny-LLM/refs/main"] == FINGERPRINT.encode()


#: (layout, storage) to plan digest and store path (None: it needs the weights' bytes).
PINNED = {
    (Layout.DUAL, Storage.LINKED): (
        "757f07fbe582c158c5b985e2ab93561604112f15213688f6f98d6d1c15de90fc",
        "/nix/store/4vcywwxgcf9w2dxn1xdi0ajbq097iv3m-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.DUAL, Storage.SELF_CONTAINED): (
        "38b50b59e70a5a0d1c20b728140eaf39aff516e5211c76e072807ca6fc0c309b",
        None,
    ),
    (Layout.SINGLE, Storage.LINKED): (
        "551b420b598c0770de577c12d472a4bde0bc68e84a8d251750a26b370d85cf99",
        "/nix/store/fr9y9rr4rd6lc8raf4lh99qnw6sc8n6g-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.SINGLE, Storage.SELF_CONTAINED): (
        "df8f081caf469867835a223ec5eef77075a7aeb14d4a88495070a70f67800982",
        None,
    ),
    (Layout.HF, Storage.LINKED): (
        "3740ada95a8a769705570f0dc75b65490d7fa735137f84e56677f4c0c6555ee2",
        "/nix/store/5mawzjsr8qar96h0wh4qrg0iy03p2fyn-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.HF, Storage.SELF_CONTAINED): (
        "5b635c29544ef3a1dada9d4d0d7ff53e009b4caedd8f58521cdadebbc02eeec7",
        None,
    ),
}


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_the_plan_of_layout_version_1_never_changes(layout: Layout, storage: Storage) -> None:
    assert LAYOUT_VERSION == 1, "pin the plans of the new layout version beside these"
    plan = sample_package.plan(layout, storage)
    store_path = plan.store_path()
    assert (plan.digest().hex(), None if store_path is None else str(store_path)) == PINNED[layout, storage]
