"""JSON as model repositories hold it, read without the standard reader's silences.

Two keys of one name are refused (the standard reader keeps the last, other readers the first, so a file
could mean two things), nesting is bounded, and every problem is a ``HeaderError``. NaN, Infinity and a
byte order mark are accepted: published configs have them and the Hub's own libraries read them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from hf_pack.weights.weights_error import HeaderError, shorten

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

DEPTH_LIMIT = 200
"""Lists and objects inside one another. Real configs and tokenizers stay under 30."""

_BOM = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes) -> JsonValue:
    """The value in ``data`` (UTF-8). Raises HeaderError with line and column where the reader knows them."""
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HeaderError(f"JSON: expected UTF-8, found byte 0x{data[error.start]:02x} in byte {error.start}") from None
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise HeaderError(f"JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise HeaderError(_TOO_DEEP) from None
    except HeaderError:
        raise
    except ValueError:  # an integer of more digits than the interpreter converts
        raise HeaderError("JSON: a number has too many digits") from None
    _check_depth(value)
    if _SURROGATE_ESCAPE.search(data):
        _check_surrogates(value)
    return value


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


_TOO_DEEP = f"JSON: nested more than {DEPTH_LIMIT} levels deep"


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise HeaderError(f"JSON: key {shorten(repeated)} appears twice in one object")
    return result


def _check_depth(value: JsonValue) -> None:
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(DEPTH_LIMIT):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, list | dict)
        ]
    if level:
        raise HeaderError(_TOO_DEEP)


def _check_surrogates(value: JsonValue) -> None:
    # An escape like \ud800 without its partner makes a string that no file can hold again.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise HeaderError("JSON: half of a surrogate pair, which is not a character") from None
