"""What a package in a store says of its model: in its configuration and its weights' headers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from hf_pack.errors import SourceError
from hf_pack.model.json_value import JsonObject
from hf_pack.model.lock import ModelSummary
from hf_pack.model.weight_formats import WeightFormat, weight_format
from hf_pack.steps.inspecting.summarise import model_config, quantizer_config, summarise
from hf_pack.steps.stored.contents import Contents, StoredContents
from hf_pack.weights.outline import outline
from hf_pack.weights.strict_json import JsonValue, loads_object
from hf_pack.weights.weights_error import HeaderError

if TYPE_CHECKING:  # what reads headers is not for packages that are locked
    from hf_pack.model.published_model import PublishedModel
    from hf_pack.weights.gguf import GgufHeader
    from hf_pack.weights.safetensors import Header

CONFIGS = (
    "config.json",
    "params.json",
    "tokenizer_config.json",
    "hf_quant_config.json",
    "quantize_config.json",
    "quant_config.json",
)
"""The small files that say what a model is."""


def summary_of_object(contents: StoredContents) -> ModelSummary:
    """What the headers of the weights say, beside the configuration. Raises SourceError."""
    headers, gguf = _headers(contents)
    return summarise(configs=configs_of(contents), headers=headers, gguf=gguf, texts={}).model


def published_model(contents: StoredContents) -> PublishedModel:
    """What a cache's index says of the package; of headers that cannot be read, nothing. Raises SourceError for a
    configuration that is broken."""
    from hf_pack.model.published_model import PublishedModel

    configs = configs_of(contents)
    config = dict(model_config(configs))
    old = quantizer_config(configs)
    try:
        model = summary_of_object(contents)
    except SourceError:  # the bytes are proved by whoever sends them; a format that is read by others may be odd to us
        model = summarise(configs=configs, headers=(), gguf=None, texts={}).model
    if old is not None and "quantization_config" not in config:  # where the old quantizers wrote it
        config["quantization_config"] = {"quant_method": model.quantization_method, **old}
    return PublishedModel(
        summary=model,
        weight_size=weight_size(contents),
        config=outline(config),
        engine_parameters=engine_parameters(contents),
    )


def weight_size(contents: Contents) -> int:
    """Bytes of the weight files."""
    return sum(digest.size for path, digest in contents.files.items() if weight_format(path) is not None)


def engine_parameters(contents: StoredContents) -> dict[str, JsonObject]:
    """The package's tables by runtime."""
    stated = contents.provenance.get("engine_parameters")
    return {
        runtime: table
        for runtime, table in (stated.items() if isinstance(stated, Mapping) else ())
        if isinstance(table, Mapping)
    }


def configs_of(contents: Contents) -> dict[str, JsonObject]:
    """Those of :data:`CONFIGS` that are there, parsed. Raises SourceError."""
    found: dict[str, JsonObject] = {}
    for path in CONFIGS:
        data = contents.read(path) if path in contents.files else None
        if data is not None:
            found[path] = parsed(path, data)
    return found


def parsed(path: str, data: bytes) -> dict[str, JsonValue]:
    """One of them. Raises SourceError."""
    try:
        return loads_object(data)
    except HeaderError as error:
        raise SourceError(f"{path}: {error}") from None


def _headers(contents: StoredContents) -> tuple[list[Header], GgufHeader | None]:
    """The headers of the weights that the store holds."""
    from hf_pack.steps.inspecting.header_reading import read_gguf_header
    from hf_pack.weights import safetensors

    headers: list[Header] = []
    gguf: GgufHeader | None = None
    for path, digest in contents.files.items():
        kind = weight_format(path)
        try:
            if kind is not None and kind.is_safetensors:
                prefix = contents.read(path, size=safetensors.PREFIX_SIZE) or b""
                length = safetensors.header_length(prefix, digest.size)
                header = contents.read(path, safetensors.PREFIX_SIZE, length) or b""
                headers.append(safetensors.parse_header(header, digest.size))
            elif kind is WeightFormat.GGUF and gguf is None:
                gguf = read_gguf_header(partial(_start, contents, path), digest.size)
        except HeaderError as error:
            raise SourceError(
                f"{contents.store_path}: {path} is broken: {error}", hint=f"hf-pack verify {contents.store_path}"
            ) from None
    return headers, gguf


def _start(contents: StoredContents, path: str, size: int) -> bytes:
    return contents.read(path, size=size) or b""
