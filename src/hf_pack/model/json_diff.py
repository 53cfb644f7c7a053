"""Differences between two JSON values, key by key. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hf_pack.model.json_value import JsonValue

MISSING: Final = object()  #: stands for a key that one side does not have


def json_changes(
    before: JsonValue, after: JsonValue, key: str = ""
) -> Iterator[tuple[str, JsonValue | object, JsonValue | object]]:
    """Leaves that differ: (dotted key, before, after), with :data:`MISSING` for an absent side.

    Lists of equal length are compared by element, others as a whole. ``1``, ``1.0`` and ``true`` differ.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            inner = f"{key}.{name}" if key else name
            if name not in before:
                yield inner, MISSING, after[name]
            elif name not in after:
                yield inner, before[name], MISSING
            else:
                yield from json_changes(before[name], after[name], inner)
    elif _is_list(before) and _is_list(after) and len(before) == len(after):  # type: ignore[arg-type]
        for index, (left, right) in enumerate(zip(before, after, strict=True)):  # type: ignore[arg-type]
            yield from json_changes(left, right, f"{key}[{index}]")
    elif type(before) is not type(after) or before != after:
        yield key, before, after


def _is_list(value: JsonValue) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
