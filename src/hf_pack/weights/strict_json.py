"""JSON inside model files: :mod:`hf_pack.model.strict_json`, with every problem as a ``HeaderError``."""

from __future__ import annotations

from collections.abc import Mapping

from hf_pack.model import strict_json
from hf_pack.model.json_value import JsonValue
from hf_pack.model.strict_json import DEPTH_LIMIT
from hf_pack.weights.weights_error import HeaderError

__all__ = ["DEPTH_LIMIT", "JsonValue", "child", "first", "kind_of", "loads", "loads_object", "whole"]


def loads(data: bytes) -> JsonValue:
    """The value in ``data`` (UTF-8). Raises HeaderError with line and column where the reader knows them."""
    try:
        return strict_json.loads(data)
    except strict_json.StrictJsonError as error:
        raise HeaderError(f"JSON: {error}") from None


def loads_object(data: bytes) -> dict[str, JsonValue]:
    """The object in ``data``; any other kind of value is a HeaderError, as every known file is an object."""
    value = loads(data)
    if not isinstance(value, dict):
        raise HeaderError(f"JSON: expected an object, found {kind_of(value)}")
    return value


def kind_of(value: object) -> str:
    """The JSON word for a value's type, for messages: ``a string``, ``null`` ..."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def child(value: Mapping[str, JsonValue] | None, key: str) -> Mapping[str, JsonValue] | None:
    """The object under ``key``, or None where it is absent or something else."""
    found = None if value is None else value.get(key)
    return found if isinstance(found, dict) else None


def whole(value: object) -> int | None:
    """``value`` where it is an integer (true and false are not), else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def first(value: Mapping[str, JsonValue], *keys: str) -> int | None:
    """The integer over 0 under the first of ``keys`` that has one."""
    return next((found for key in keys if (found := whole(value.get(key))) is not None and found > 0), None)
