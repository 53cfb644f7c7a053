"""JSON values as TOML text on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from hf_pack.model.json_value import JsonValue

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write(value: JsonValue) -> str:
    """The value as TOML: objects as inline tables. Raises ValueError for null and for NaN or Infinity."""
    match value:
        case Mapping():
            inner = ", ".join(f"{write_key(key)} = {write(child)}" for key, child in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return f"[{', '.join(map(write, value))}]"
        case str():
            return _string(value)
        case None:
            raise ValueError("TOML has no null")
    return json.dumps(value, allow_nan=False)


def write_key(key: str) -> str:
    """The key, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are TOML's; JSON leaves DEL as it is and TOML does not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
