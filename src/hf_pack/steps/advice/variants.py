"""The variants of a model that are known: on the Hub, in the workspace, in its caches. Their facts, cheaply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hf_pack.errors import Error, UsageError
from hf_pack.gpu.facts import Facts
from hf_pack.model.json_value import JsonObject
from hf_pack.ports import ObjectCache, Progress, RelatedModel, Store, Workspace
from hf_pack.steps.advice.check import facts_of_entry, facts_of_package
from hf_pack.steps.caches.published_index import read_index
from hf_pack.steps.caches.pull_packages import choose
from hf_pack.steps.trust.trust import Trust
from hf_pack.steps.workspace.packages import load
from hf_pack.weights.cache_layers import language_config
from hf_pack.weights.quantization import detect
from hf_pack.weights.safetensors import DTYPE_BITS

_SAME = ("hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads")


def facts_of_related(model: RelatedModel, base: Facts) -> Facts | None:
    """What the Hub's list tells of a variant; its shapes are the base model's. None for formats of other programs.

    The split over GPUs is not known without the headers; sizes are values times width.
    """
    stated = model.config.get("quantization_config")
    if "gguf" in model.tags or "mlx" in model.tags or not isinstance(stated, Mapping) or "quant_method" not in stated:
        return None
    inherited: JsonObject = {key: value for key, value in base.config.items() if key != "quantization_config"}
    config: JsonObject = {**inherited, "quantization_config": stated}
    size = sum(count * DTYPE_BITS.get(dtype, 0) // 8 for dtype, count in model.parameters.items())
    if not size:
        return None
    return Facts(
        label=str(model.repo_id),
        config=config,
        quantization=detect(config, ()),
        weight_parts=None,
        weight_size=size,
        context_length=base.context_length,
        architectures=base.architectures,
        model_type=base.model_type,
        dtype=base.dtype,
    )


def packages_like(base: Facts, workspace: Workspace, store: Store) -> Iterator[Facts]:
    """The workspace's packages of the same shape. One that cannot be read is passed over: it is not asked about."""
    for name in workspace.names():
        try:
            facts = facts_of_package(load(workspace, name), store)
        except Error:
            continue
        if _shape(facts) == _shape(base) is not None and facts.label != base.label:
            yield facts


def published_like(base: Facts, caches: Iterable[ObjectCache]) -> Iterator[Facts]:
    """The newest published version of each pname of the same shape, as the caches' indexes list them.

    Raises HubError for an index that is damaged.
    """
    seen: set[str] = set()
    for cache in caches:
        for entry in read_index(cache.storage):  # newest builds first
            facts = facts_of_entry(entry)
            if entry.pname not in seen and _shape(facts) == _shape(base) is not None and facts.label != base.label:
                yield facts
            seen.add(entry.pname)


def published(name: str, caches: Sequence[ObjectCache], trust: Trust, progress: Progress) -> Facts:
    """Facts of what ``pull`` would take for this name or store path, from the caches' indexes alone.

    Raises UsageError, PolicyError for a signature that is missing, HubError.
    """
    choice = choose(name, caches, trust, progress)
    listed = (entry for cache in caches for entry in read_index(cache.storage))
    entry = choice.entry or next((one for one in listed if one.store_path == choice.store_path), None)
    if entry is None:
        raise UsageError(f"no cache lists {choice.store_path}", hint=f"hf-pack pull {choice.store_path}, then check it")
    return facts_of_entry(entry)


def _shape(facts: Facts) -> tuple[object, ...] | None:
    text = language_config(facts.config)
    shape = tuple(text.get(key) for key in _SAME)
    return None if None in shape else (facts.architectures, *shape)
