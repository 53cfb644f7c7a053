"""``config.pbtxt`` as Triton's own schema reads it."""

from __future__ import annotations

import json

import pytest
from tests import sample_package

from hf_pack.model.manifest import Layout
from hf_pack.model.plan import RegularFile

schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
text_format = pytest.importorskip("google.protobuf.text_format")


def contents(layout: Layout, path: str) -> bytes:
    return next(
        entry.contents
        for entry in sample_package.plan(layout).entries
        if entry.path == path and isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    )


@pytest.mark.parametrize(
    ("layout", "path"),
    [
        (Layout.SINGLE, "share/models/tiny_1_5/config.pbtxt"),
        (Layout.DUAL, "share/models/tiny_1_5/config.pbtxt"),
        (Layout.DUAL, "share/triton/tiny_1_5/config.pbtxt"),
    ],
)
def test_triton_reads_the_model_configuration(layout: Layout, path: str) -> None:
    config = text_format.Parse(contents(layout, path), schema.ModelConfig())
    assert config.backend == "vllm"
    assert config.name == ""  # the directory names the model
    assert config.max_batch_size == 0
    assert config.model_transaction_policy.decoupled
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, schema.ModelInstanceGroup.KIND_MODEL)
    assert [(i.name, schema.DataType.Name(i.data_type), list(i.dims), i.optional) for i in config.input] == [
        ("text_input", "TYPE_STRING", [1], False),
        ("stream", "TYPE_BOOL", [1], True),
        ("sampling_parameters", "TYPE_STRING", [1], True),
        ("exclude_input_in_output", "TYPE_BOOL", [1], True),
    ]
    assert [(o.name, schema.DataType.Name(o.data_type), list(o.dims)) for o in config.output] == [
        ("text_output", "TYPE_STRING", [-1])
    ]


def test_engine_parameters_are_those_of_vllm_overridden_by_triton() -> None:
    defaults = json.loads(contents(Layout.DUAL, "share/models/tiny_1_5/model-defaults.json"))
    assert defaults == {
        "max_model_len": 2048,  # [triton]
        "dtype": "auto",
        "gpu_memory_utilization": 0.85,
        "disable_log_stats": True,
    }
    engine = json.loads(contents(Layout.DUAL, "share/triton/tiny_1_5/1/model.json"))
    assert engine == {**defaults, "model": "acme/Tiny-LLM", "revision": sample_package.COMMIT}
