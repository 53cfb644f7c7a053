"""check on models of a Hub: a few requests, headers only, and their quantized variants ranked."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.from_hub import HubPlace, hub_place
from tests.hub import DeclaredFile, TestHub
from tests.models import as_json, shard_index, tiny_model
from tests.spec.model_shapes import Form, headers
from tests.spec.test_published_runs import CONFIGS

CONFIG = {**CONFIGS["Llama-3.1-8B"], "architectures": ["LlamaForCausalLM"]}
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic"}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}


@pytest.fixture
def hub() -> Iterator[TestHub]:
    with TestHub() as hub:
        yield hub


@pytest.fixture
def place(tmp_path: Path, hub: TestHub) -> HubPlace:
    return hub_place(tmp_path / "user", hub)


def eight_billion(
    form: Form = "BF16", shards: int = 8, quantization: Mapping[str, object] | None = None
) -> dict[str, bytes | DeclaredFile]:
    """A model with the tensors of Llama-3.1-8B in ``form``; the headers are stored, the weights only declared."""
    config = dict(CONFIG) | ({"quantization_config": dict(quantization)} if quantization else {})
    files: dict[str, bytes | DeclaredFile] = {
        path: data for path, data in tiny_model().items() if not path.endswith(".safetensors")
    }
    files["config.json"] = as_json(config)
    tensors = headers(config, form)[0].tensors
    weight_map = {}
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        header: dict[str, object] = {}
        at = 0
        for tensor in tensors[number::shards]:
            header[tensor.name] = {
                "dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.size],
            }  # fmt: skip
            at += tensor.size
            weight_map[tensor.name] = name
        text = json.dumps(header).encode()
        start = struct.pack("<Q", len(text)) + text
        files[name] = DeclaredFile(len(start) + at, f"{number + 1:064x}", start)
    files["model.safetensors.index.json"] = shard_index(weight_map)
    return files


def test_a_model_of_eight_shards_takes_few_requests(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo("acme/eight", eight_billion())
    ran = place.done("check", "acme/eight", "--gpu", "L4", "--max-model-len", "16384", "--json")
    found = ran.document
    assert (found["verdict"], found["kernel"]) == ("ok", "native")
    assert found["weight_bytes"] == pytest.approx(14.99 * 2**30, rel=0.01)
    assert found["kv_bytes_per_token"] == 128 * 1024
    asked = [request for request in hub.requests if request.path != "/api/agent-harnesses"]  # the client's own
    assert len(asked) < 20
    assert hub.bytes_sent < 10_000_000


def test_what_does_not_fit_is_7_and_says_what_would(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo("acme/eight", eight_billion())
    ran = place.ran("check", "acme/eight", "--gpu", "L4", "--json")
    assert ran.code == 7
    assert ran.document["verdict"] == "does-not-fit"
    changes = {change["arguments"].split()[0]: change for change in ran.document["changes"]}
    assert {"--max-model-len", "--tp"} <= set(changes)
    again = place.ran("check", "acme/eight", "--gpu", "L4", *changes["--max-model-len"]["arguments"].split())
    assert again.code == 0


def test_the_variants_are_ranked_for_the_gpu(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo("acme/eight", eight_billion(shards=1))
    relation = {"base_model": "acme/eight", "base_model_relation": "quantized"}
    for name, form, stated in (("fp8", "F8", FP8), ("awq", "AWQ", AWQ)):
        files = eight_billion(form, 1, stated)  # type: ignore[arg-type]
        hub.add_repo(f"other/eight-{name}", files, card=relation)
    hub.add_repo("other/unrelated", eight_billion("F8", 1, FP8))

    def order(gpu: str) -> list[str]:
        ran = place.ran("check", "acme/eight", "--gpu", gpu, "--variants", "--max-model-len", "8192", "--json")
        assert ran.code == 0, ran.err
        assert all(choice["rule"] for choice in ran.document)
        return [choice["candidate"]["check"]["label"] for choice in ran.document]

    assert order("L4") == ["other/eight-fp8", "other/eight-awq", "acme/eight"]
    assert order("T4") == ["other/eight-awq", "other/eight-fp8", "acme/eight"]
    assert order("A10")[0] == "other/eight-awq"


def test_a_gated_variant_keeps_the_numbers_that_the_list_tells(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo("acme/eight", eight_billion(shards=1))
    relation = {"base_model": "acme/eight", "base_model_relation": "quantized"}
    hub.add_repo("other/gated", eight_billion("F8", 1, FP8), card=relation, gated="manual")
    ran = place.ran("check", "acme/eight", "--gpu", "L4", "--variants", "--max-model-len", "8192", "--json")
    assert ran.code == 0, ran.err
    exact = {choice["candidate"]["check"]["label"]: choice["candidate"]["exact"] for choice in ran.document}
    assert exact == {"other/gated": False, "acme/eight": True}
    gated, whole = (choice["candidate"] for choice in ran.document)
    assert (gated["check"]["label"], whole["unread"]) == ("other/gated", None)
    assert "the model is gated" in gated["unread"]
    shown = place.ran("check", "acme/eight", "--gpu", "L4", "--variants", "--max-model-len", "8192")
    assert shown.code == 0
    assert "other/gated  fp8-tensor" in shown.out and "about other/gated: the model is gated" in shown.err


def test_packages_of_the_workspace_are_variants_where_their_shape_is_the_same(hub: TestHub, place: HubPlace) -> None:
    hub.add_repo("acme/eight", eight_billion(shards=1))
    hub.add_repo("other/eight-awq", eight_billion("AWQ", 1, AWQ))  # the Hub does not know whose it is
    hub.add_repo("acme/tiny", tiny_model())
    for repo_id in ("other/eight-awq", "acme/tiny"):
        place.done("add", repo_id)
    ran = place.ran("check", "acme/eight", "--gpu", "T4", "--variants", "--max-model-len", "8192", "--json")
    assert ran.code == 0, ran.err
    found = [(choice["candidate"]["check"]["label"], choice["candidate"]["origin"]) for choice in ran.document]
    assert found == [("eight-awq", "this workspace"), ("acme/eight", "asked for")]
