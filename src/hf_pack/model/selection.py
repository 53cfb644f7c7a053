"""Which files of a model are packaged: by names alone, so the same for the Hub, a cache and a directory.

The licence and what must go with it is always taken, whatever ``include`` says; ``exclude`` leaves it out. By default
just what a runtime needs: one weight format, tokenizer, configuration, templates, the remote code
that ``auto_map`` names, licence and card. Every file left out is named with its reason; bookkeeping of tools
(:func:`hf_pack.model.file_names.is_bookkeeping`) is not a file of the model and is not named.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hf_pack.model.file_names import is_bookkeeping
from hf_pack.model.lock import OmittedFile
from hf_pack.model.manifest import Selection
from hf_pack.model.unneeded import is_legal_text, is_text_that_matters, unneeded
from hf_pack.model.weight_formats import (
    WeightFormat,
    gguf_quantization,
    shard_stem,
    weight_format,
    weight_index,
)

_MODULE_DIRECTORY = re.compile(r"\d+_\w+")  # of sentence-transformers: 0_Transformer, 1_Pooling, 2_Dense
_VARIANT = re.compile(r"(?:b?f|fp|int)\d+|non_ema|ema|f\d+_ema", re.IGNORECASE)
_ORDER = {found: rank for rank, found in enumerate(WeightFormat)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The choice. ``files`` and ``omitted`` are sorted.

    What else is not empty is a question that the user must answer before anything can be packaged
    (:func:`hf_pack.steps.inspecting.choose_files.choose` asks it).
    """

    files: tuple[str, ...]
    omitted: tuple[OmittedFile, ...]
    formats: tuple[WeightFormat, ...]  #: of the weights among ``files``, in order of preference
    offered: tuple[WeightFormat, ...]  #: all that the source has, after ``exclude``
    unmatched: tuple[str, ...] = ()  #: patterns of ``include`` that no file matches
    pickles: tuple[str, ...] = ()  #: weights that are needed or asked for, and need ``allow_pickle``
    quantizations: tuple[str, ...] = ()  #: GGUF quantizations of which one must be chosen by ``include``


def select(
    paths_and_sizes: Iterable[tuple[str, int]],
    selection: Selection,
    *,
    auto_map_files: Collection[str] = (),
    side_files: Mapping[str, str] | None = None,
) -> Selected:
    """Choose among the files of a source (path, size in bytes).

    ``auto_map_files`` are the ``.py`` files that the configuration names and those that they import;
    ``side_files`` are a quantizer's records (path to the reason for leaving it out by default).
    """
    paths = sorted({path for path, _ in paths_and_sizes if not is_bookkeeping(path)})
    excluded = {path for path in paths if _matches(path, selection.exclude)}
    rest = [path for path in paths if path not in excluded]
    omitted = dict.fromkeys(excluded, "excluded by the manifest")
    offered = {found for path in rest if (found := weight_format(path)) and not unneeded(path)}
    quantizations: tuple[str, ...] = ()
    if selection.include is not None:
        taken = [path for path in rest if _matches(path, selection.include) or is_legal_text(path)]
        omitted |= dict.fromkeys(set(rest) - set(taken), "not named by the manifest's include")
    else:
        reasons = _default_reasons(rest, auto_map_files, side_files or {})
        quantizations = _quantizations(path for path in rest if path not in reasons)
        if len(quantizations) > 1:
            reasons |= {
                path: "one of several GGUF quantizations"
                for path in rest
                if path not in reasons and weight_format(path) is WeightFormat.GGUF
            }
        else:
            quantizations = ()
        taken = [path for path in rest if path not in reasons]
        omitted |= reasons
    formats = {path: weight_format(path) for path in taken}
    pickles = tuple(path for path, found in formats.items() if found is not None and found.is_pickle)
    return Selected(
        files=tuple(taken),
        omitted=tuple(OmittedFile(path=path, reason=omitted[path]) for path in sorted(omitted)),
        formats=_in_order(formats.values()),
        offered=_in_order(offered),
        unmatched=tuple(
            pattern
            for pattern in selection.include or ()
            if not any(fnmatch.fnmatchcase(path, pattern) for path in paths)
        ),
        pickles=() if selection.allow_pickle else pickles,
        quantizations=quantizations,
    )


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _in_order(formats: Iterable[WeightFormat | None]) -> tuple[WeightFormat, ...]:
    found = set(formats)
    return tuple(weights for weights in WeightFormat if weights in found)


def _default_reasons(
    paths: list[str], auto_map_files: Collection[str], side_files: Mapping[str, str]
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for path in paths:
        if path in side_files:
            reasons[path] = side_files[path]
        elif path not in auto_map_files and (reason := _reason_by_name(path)) is not None:
            reasons[path] = reason
    weights = [path for path in paths if path not in reasons and weight_format(path) is not None]
    reasons |= _duplicates(weights)
    kept = {found for path in weights if path not in reasons and (found := weight_format(path))}
    if kept:
        stems = {shard_stem(path) for path in weights if path not in reasons}
        reasons |= {
            path: "index of weights that are left out"
            for path in paths
            if path not in reasons
            and (index := weight_index(path)) is not None
            and (index.format not in kept or (index.is_variant and index.stem not in stems))
        }
    if WeightFormat.CONSOLIDATED not in kept:
        reasons |= {
            path: "settings of the consolidated weights, which are left out"
            for path in paths
            if path not in reasons and path == "params.json" and "config.json" in paths
        }
    return reasons


def _reason_by_name(path: str) -> str | None:
    reason = unneeded(path)
    if reason is not None or weight_format(path) is not None:
        return reason
    if path.lower().endswith((".py", ".pyi", ".sh", ".js", ".ts", ".cpp", ".cu", ".rs", ".c", ".h")):
        return "code that no auto_map names"
    if not is_text_that_matters(path):
        return "documentation" if path.lower().endswith(".md") else "no kind of file that a runtime reads"
    return None


def _duplicates(weights: list[str]) -> dict[str, str]:
    """Weights beside better ones: another format in the same directory or above it, or a variant of the same.

    A module directory of sentence-transformers is judged alone: nothing above it repeats its weights.
    """
    best: dict[str, WeightFormat] = {}
    formats = {path: found for path in weights if (found := weight_format(path)) is not None}
    for path, found in formats.items():
        directory = _directory(path)
        best[directory] = min(best.get(directory, found), found, key=_ORDER.__getitem__)
    only_gguf = set(best.values()) == {WeightFormat.GGUF}
    reasons = {
        path: "another format of the same weights"
        for path, found in formats.items()
        if found is not _wanted(_directory(path), best) or (found is WeightFormat.GGUF and not only_gguf)
    }
    kept = [path for path in weights if path not in reasons]
    return reasons | _variants(kept) | _projectors(kept)


def _wanted(directory: str, best: Mapping[str, WeightFormat]) -> WeightFormat:
    places = [directory] if _MODULE_DIRECTORY.fullmatch(directory) else [directory, *_parents(directory)]
    return min((best[place] for place in places if place in best), key=_ORDER.__getitem__)


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(directory: str) -> list[str]:
    parents = []
    while directory:
        directory = _directory(directory)
        parents.append(directory)
    return parents


def _variants(weights: list[str]) -> dict[str, str]:
    # model.fp16.safetensors beside model.safetensors: the naming of save_pretrained(variant=...).
    present = {shard_stem(path) for path in weights if weight_format(path) is not WeightFormat.GGUF}
    found = ((path, *shard_stem(path).rpartition(".")[::2]) for path in weights)
    return {
        path: f"a variant ({variant}) of the same weights"
        for path, stem, variant in found
        if stem in present and _VARIANT.fullmatch(variant)
    }


def _is_projector(path: str) -> bool:
    return "mmproj" in path.rsplit("/", 1)[-1].lower()


def _projectors(weights: list[str]) -> dict[str, str]:
    # A multimodal GGUF model needs its projector, once; f16 is what llama.cpp's converter writes by default.
    found = [path for path in weights if weight_format(path) is WeightFormat.GGUF and _is_projector(path)]
    preferred = {"f16": 0, "fp16": 0, "bf16": 1}
    found.sort(key=lambda path: (preferred.get(gguf_quantization(path).lower(), 2), path))
    return dict.fromkeys(found[1:], "another precision of the projector")


def _quantizations(paths: Iterable[str]) -> tuple[str, ...]:
    found = {
        shard_stem(path): gguf_quantization(path)
        for path in paths
        if weight_format(path) is WeightFormat.GGUF and not _is_projector(path)
    }
    names = list(found.values())
    return tuple(sorted(name if names.count(name) == 1 else stem for stem, name in found.items()))
