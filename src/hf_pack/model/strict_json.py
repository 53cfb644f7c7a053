"""JSON as model repositories hold it, read without the standard reader's silences.

Two keys of one name are refused (the standard reader keeps the last, other readers the first, so a file
could mean two things), nesting is bounded, and every problem is a :class:`StrictJsonError`. NaN, Infinity and
a byte order mark are accepted: published files have them and the Hub's own libraries read them.
"""

from __future__ import annotations

import json
import re
from collections import Counter

from hf_pack.model.json_value import JsonValue

DEPTH_LIMIT = 200  #: lists and objects inside one another; real configs and tokenizers stay under 30

_BOM = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_TOO_DEEP = f"nested more than {DEPTH_LIMIT} levels deep"


class StrictJsonError(ValueError):
    """The bytes are not JSON that has one meaning; the message is one line.

    ``line`` and ``column`` count from 1; they are None where no single place is at fault.
    """

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line}, column {column})")
        self.line = line
        self.column = column


class DuplicateKey(StrictJsonError):  # noqa: N818 - an error of that one kind
    """Two keys of one name in an object."""


def loads(data: bytes, *, duplicate_keys: bool = False) -> JsonValue:
    """The value in ``data`` (UTF-8); with ``duplicate_keys`` the last of equal keys counts.

    Raises :class:`StrictJsonError`.
    """
    body = data.removeprefix(_BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        column = error.start - body.rfind(b"\n", 0, error.start)
        message = f"expected UTF-8, found byte 0x{body[error.start]:02x}"
        raise StrictJsonError(message, line=line, column=column) from None
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=None if duplicate_keys else _object)
    except json.JSONDecodeError as error:
        raise StrictJsonError(error.msg, line=error.lineno, column=error.colno) from None
    except StrictJsonError:
        raise
    except RecursionError:
        raise StrictJsonError(_TOO_DEEP) from None
    except ValueError:  # an integer of more digits than the interpreter converts
        raise StrictJsonError("a number has too many digits") from None
    _check_depth(value)
    if _SURROGATE_ESCAPE.search(data):
        _check_surrogates(value)
    return value


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise DuplicateKey(f"key {json.dumps(twice)[:100]} appears twice in one object")
    return result


def _check_depth(value: JsonValue) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise StrictJsonError(_TOO_DEEP)


def _check_surrogates(value: JsonValue) -> None:
    # An escape like \ud800 without its partner makes a string that no file can hold again.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictJsonError("half of a surrogate pair, which is not a character") from None
