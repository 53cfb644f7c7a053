"""``*.safetensors.index.json``: which file of a sharded model holds which tensor."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.weights.strict_json import JsonValue, kind_of, loads_object
from hf_pack.weights.weights_error import HeaderError, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    """``weight_map`` is (tensor, file) sorted by tensor; ``files`` distinct, sorted, relative to the index."""

    weight_map: tuple[tuple[str, str], ...]
    files: tuple[str, ...]


def parse_index(text: bytes) -> ShardIndex:
    """Reads an index. Raises HeaderError, also for a file name that leads out of the model's directory."""
    document = loads_object(text)
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        found = "an empty object" if weight_map == {} else kind_of(weight_map)
        raise HeaderError(f"weight_map: expected an object of tensor names to files, found {found}")
    pairs = [(tensor, _file(tensor, file)) for tensor, file in sorted(weight_map.items())]
    return ShardIndex(
        weight_map=tuple(pairs),
        files=tuple(sorted({file for _, file in pairs})),
    )


def is_plain_relative(path: str) -> bool:
    """Whether ``path`` stays below its directory on every system: no ``..``, root, colon or backslash."""
    return not any(part in ("", ".", "..") for part in path.split("/")) and not set(path) & {"\\", ":", "\0"}


def _file(tensor: str, file: JsonValue) -> str:
    where = f"weight_map.{shorten(tensor)}"
    if not isinstance(file, str):
        raise HeaderError(f"{where}: expected a file name, found {kind_of(file)}")
    if not is_plain_relative(file):
        raise HeaderError(f"{where}: expected a file below the model's directory, found {shorten(file)}")
    return file
