"""Engine parameters as command line flags, and what a user's own arguments override."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hf_pack.model.json_value import JsonValue


def flag(key: str) -> str:
    """``max_model_len`` is ``--max-model-len``."""
    return "--" + key.replace("_", "-")


def given(arguments: Sequence[str]) -> frozenset[str]:
    """The flags that a user's arguments set, in one spelling; ``--no-x`` sets ``--x``."""
    names = (text.partition("=")[0].replace("_", "-") for text in arguments if text.startswith("--"))
    return frozenset("--" + name.removeprefix("--").removeprefix("no-") for name in names)


def value_of(arguments: Sequence[str], *names: str) -> str | None:
    """The last value that the arguments give a flag of these names; with ``_`` for ``-`` it is the same flag."""
    found = None
    for index, text in enumerate(arguments):
        key, separator, value = text.partition("=")
        if key.replace("_", "-") in names:
            found = value if separator else (arguments[index + 1] if index + 1 < len(arguments) else None)
    return found


def port_of(arguments: Sequence[str], name: str) -> int | None:
    """The port that the arguments give; None without one, and for what is none: the runtime says so itself."""
    text = value_of(arguments, name)
    return int(text) if text is not None and text.isdecimal() else None


def rendered(name: str, value: JsonValue) -> tuple[str, ...]:
    """One flag with its value; a list is several words, a table is JSON. True is the flag alone."""
    match value:
        case True:
            return (name,)
        case Mapping():
            return (name, json.dumps(value, sort_keys=True, separators=(",", ":")))
        case list() | tuple():
            return (name, *map(word, value))
    text = word(value)
    return (f"{name}={text}",) if text.startswith("-") else (name, text)


def word(value: JsonValue) -> str:
    """A value as one word: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
