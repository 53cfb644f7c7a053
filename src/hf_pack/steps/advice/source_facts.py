"""Facts of a model that is no package yet: on the Hub or on disk, from its configuration and its weights' headers."""

from __future__ import annotations

from collections.abc import Mapping

from hf_pack.errors import SourceError
from hf_pack.gpu.facts import Facts
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import ModelSummary
from hf_pack.model.manifest import Selection
from hf_pack.model.weight_formats import WeightFormat, weight_format
from hf_pack.ports import Source, SourceFile
from hf_pack.steps.advice.check import facts_of_files
from hf_pack.steps.inspecting.choose_files import choose
from hf_pack.steps.inspecting.header_reading import first_read, gguf_header, header_reads, safetensors_header
from hf_pack.steps.inspecting.inspect_source import Inspection
from hf_pack.steps.inspecting.summarise import summarise
from hf_pack.steps.stored.package_model import CONFIGS, parsed
from hf_pack.weights.weights_error import HeaderError


def facts_of_source(source: Source) -> Facts:
    """Facts of a model on the Hub or on disk: its configuration and the headers of its weights are read, no more.

    Raises SourceError, HubError.
    """
    listing = source.listing
    offered = {file.path: file for file in listing.files}
    sizes = ((file.path, file.size) for file in listing.files)
    # Which Python files would be packaged is not asked here, so the files that name them need not be read.
    chosen = choose(listing.place, sizes, Selection(), lambda _: b"{}").files
    formats = {path: found for path in chosen if (found := weight_format(path)) is not None}
    weights = [offered[path] for path, found in formats.items() if found.is_safetensors]
    ggufs = [offered[path] for path, found in formats.items() if found is WeightFormat.GGUF]
    wanted = [path for path in CONFIGS if path in offered]
    source.prepare(
        [*((path, None) for path in wanted), *((file.path, first_read(file)) for file in (*weights, *ggufs[:1]))]
    )
    source.prepare(header_reads(source, weights))
    configs = {path: parsed(path, source.read(path)) for path in wanted}
    try:
        headers = [safetensors_header(source, file) for file in weights]
        gguf = gguf_header(source, ggufs[0]) if ggufs else None
    except HeaderError as error:
        raise SourceError(f"{listing.place}: a weight file is broken: {error}") from None
    model = summarise(configs=configs, headers=headers, gguf=gguf, texts={}).model
    return _facts(source, model, configs, {path: offered[path] for path in chosen})


def facts_of_inspection(source: Source, inspection: Inspection) -> Facts:
    """Facts of a model that was looked into to be packaged, before anything was chosen for it. Raises SourceError."""
    paths = {file.path: file for file in inspection.files}
    configs = {path: parsed(path, source.read(path)) for path in CONFIGS if path in paths}
    return _facts(source, inspection.model, configs, paths)


def _facts(
    source: Source, model: ModelSummary, configs: Mapping[str, JsonObject], files: Mapping[str, SourceFile]
) -> Facts:
    listing = source.listing
    label = str(listing.repo_id or listing.place)
    return facts_of_files(label, model, configs, files, {}, str(listing.repo_id or ""))
