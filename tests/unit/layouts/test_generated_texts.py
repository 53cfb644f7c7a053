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
        "b6f70c673246b2a03adfcecac66b32f810b1562d5a8e092f0c6a9de90c4cadd1",
        "/nix/store/wak02f43wzw6xvgmrsqjphb0ghm4xs4h-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.DUAL, Storage.SELF_CONTAINED): (
        "81a159dc7aaf9c9f6504c72fa0b171e15f39de8cf040c3fa0516121d3e419d02",
        None,
    ),
    (Layout.SINGLE, Storage.LINKED): (
        "207925fc6cf8254569824854986d048ada71a4b7d00026067b64778305db1af3",
        "/nix/store/vliz818jm5kp2mgdxqx8hmhaxyssq747-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.SINGLE, Storage.SELF_CONTAINED): (
        "33e3990527758cfa7b19cc2618cb69fcbedf8ce9b09d642d687ea5daa67061a2",
        None,
    ),
    (Layout.HF, Storage.LINKED): (
        "e98e0ea977a2fa8e088a8a1752fcc9623c092cbdbb49f00b1f4a55e4c33545ce",
        "/nix/store/s1yvly9sa2zrvxs5iv87l08xhmz3v0ww-tiny-1.5-1.0.0+a1b2c3d",
    ),
    (Layout.HF, Storage.SELF_CONTAINED): (
        "98c0df97acab38e866993582ea47e7164f86d19403b4ba745d6611efadab83f7",
        None,
    ),
}


@pytest.mark.parametrize(("layout", "storage"), EVERY)
def test_the_plan_of_layout_version_1_never_changes(layout: Layout, storage: Storage) -> None:
    assert LAYOUT_VERSION == 1, "pin the plans of the new layout version beside these"
    plan = sample_package.plan(layout, storage)
    store_path = plan.store_path()
    assert (plan.digest().hex(), None if store_path is None else str(store_path)) == PINNED[layout, storage]
