"""What a package and a cache's index say of a model: the answer is that of the headers, and none is read for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bench import Bench, new_bench
from tests.models import as_json, safetensors, tiny_model, write_flat

from hf_pack import wiring
from hf_pack.adapters.binary_cache import BinaryCache
from hf_pack.adapters.local.source import open_source
from hf_pack.adapters.nar_packer import NarFiles
from hf_pack.api.checking import matrix
from hf_pack.errors import UsageError
from hf_pack.formats.store_path import StorePath
from hf_pack.gpu.catalogue import GIB, Gpu
from hf_pack.gpu.check import Check, check
from hf_pack.gpu.facts import Facts, Options
from hf_pack.steps.advice.check import facts_of_entry, facts_of_object, facts_of_package
from hf_pack.steps.advice.source_facts import facts_of_source
from hf_pack.steps.advice.variants import published, published_like
from hf_pack.steps.caches.publish import publish
from hf_pack.steps.stored.contents import StoredContents, stored_contents
from hf_pack.steps.stored.describe import describe
from hf_pack.steps.trust.trust import Trust
from hf_pack.weights.outline import outline

NAME = "tiny-llm"
GPU = Gpu(name="L4", sm=89, memory=22 * GIB, memory_source="measured")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = new_bench(tmp_path)
    bench.add(write_flat(tmp_path / "acme--tiny-llm", tiny_model(shards=3)))
    bench.build(NAME)
    return bench


def contents(bench: Bench) -> StoredContents:
    return stored_contents(path_of(bench), bench.store)


def path_of(bench: Bench) -> StorePath:
    record = bench.load(NAME).record
    assert record is not None
    return record.store_path


def answer(facts: Facts) -> Check:
    return check(facts, [GPU], "vllm", Options(), matrix())


def test_an_entry_of_the_index_answers_what_the_package_answers(bench: Bench) -> None:
    info = bench.store.path_info(path_of(bench))
    assert info is not None
    found = facts_of_entry(describe(info, 1, bench.store))
    whole = facts_of_object(contents(bench))
    assert found.label.startswith("tiny-llm@1.0.0+")
    assert found.config == outline(whole.config)
    assert (found.weight_parts, found.weight_size) == (whole.weight_parts, whole.weight_size)
    assert found.engine_parameters == whole.engine_parameters
    assert answer(found).memory == answer(whole).memory


def test_a_cache_answers_by_name_and_by_store_path(bench: Bench) -> None:
    storage = wiring.open_storage(f"file://{bench.home / 'cache'}")
    publish(path_of(bench), bench.store, storage, NarFiles("auto"), (), bench.notes)
    cache = BinaryCache(storage)
    whole = answer(facts_of_object(contents(bench)))
    for name in ("tiny-llm", str(path_of(bench))):
        assert answer(published(name, [cache], Trust(), bench.notes)).memory == whole.memory
    for nar in (bench.home / "cache" / "nar").iterdir():
        nar.unlink()  # the index is all that is read
    base = facts_of_package(bench.load(NAME), bench.store)
    assert [facts.label for facts in published_like(base, [cache])] == [path_of(bench).name.replace("llm-1", "llm@1")]
    other = replace(base, config={**base.config, "hidden_size": 9999})
    assert not list(published_like(other, [cache]))
    with pytest.raises(UsageError, match="no package was published as other"):
        published("other", [cache], Trust(), bench.notes)


def test_what_headers_say_is_not_in_the_tree(bench: Bench) -> None:
    assert "model" not in contents(bench).provenance  # a tool that reads more of them makes the same tree


def test_why_a_package_is_broken_comes_from_its_weights(tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    model = dict(tiny_model())
    del model["model.safetensors"]
    model["model.safetensors"] = safetensors(
        {
            "model.layers.0.mlp.up_proj.weight": ("F8_E4M3", (4, 4)),
            "model.layers.0.mlp.up_proj.weight_scale": ("F32", (1,)),
        }
    )
    model["config.json"] = as_json({**json.loads(model["config.json"]), "quant_method": "torchao"})
    bench.add(write_flat(tmp_path / "acme--tiny-llm", model))
    bench.build(NAME)
    found = facts_of_object(contents(bench)).quantization
    assert found.broken and found.notes


def test_weights_under_mistrals_own_names_are_known_from_lock_store_and_source_alike(tmp_path: Path) -> None:
    bench = new_bench(tmp_path)
    model = dict(tiny_model())
    model["consolidated.safetensors"] = model.pop("model.safetensors")
    model["params.json"] = as_json({"dim": 16})
    place = write_flat(tmp_path / "acme--tiny-llm", model)
    bench.add(place)
    bench.build(NAME)
    locked = facts_of_package(bench.load(NAME), bench.store)
    assert locked.weight_parts
    assert facts_of_object(contents(bench)).weight_parts == locked.weight_parts
    source = facts_of_source(open_source(place))
    assert (source.weight_parts, source.weight_size) == (locked.weight_parts, locked.weight_size)
