"""How values are printed: stdout is data, stderr is talk."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_words(size: int) -> str:
    """Bytes for people: ``1.5 GiB``, ``312 B``."""
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount /= 1024
        unit += 1
    return f"{size} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def count_words(number: int, noun: str, nouns: str = "") -> str:
    """``1 file``, ``3 files``; ``nouns`` where the plural takes more than an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def print_json(document: object) -> None:
    """Canonical JSON on stdout: sorted keys, two spaces, UTF-8."""
    text = json.dumps(plain(document), indent=2, sort_keys=True, ensure_ascii=False)
    print(text.encode(errors="backslashreplace").decode())  # what is no UTF-8 in a path, as JSON escapes it


def as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    """How a codec writes a character that it lacks: a path's bytes that are no text as they are, others escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    one = error.object[error.start]
    if "\udc80" <= one <= "\udcff":
        return os.fsencode(one), error.start + 1
    return one.encode("ascii", "backslashreplace"), error.start + 1


def plain(value: object) -> object:
    """A value of the model as JSON types: store paths and hashes as text, data classes as objects."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case StorePath() | Path():
            return str(value)
        case Hash():
            return value.sri()
        case Mapping():
            return {str(key): plain(inner) for key, inner in value.items()}
        case Iterable():
            return [plain(inner) for inner in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


def _field(name: str, value: object) -> object:
    """A file's ``sha256`` is hex, as the Hub and the lock write it; a ``nar_hash`` is as Nix writes it."""
    return value.hex() if name == "sha256" and isinstance(value, Hash) else plain(value)


def with_store(hint: str, store: str | None) -> str:
    """A hint that is a command, with the store that this command was given."""
    takes_store = re.match(
        r"hf-pack (?:add|lock|build|list|path|show|verify|serve|env|run|diff|gc|roots|store repair)\b", hint
    )
    if store is None or takes_store is None or "--store" in hint:
        return hint
    command, separator, rest = hint.partition(", ")
    return f"{command} --store {shlex.quote(store)}{separator}{rest}"


def talk(line: str) -> None:
    """One line on stderr."""
    print(line, file=sys.stderr)


def table(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> None:
    """Columns on stdout, as wide as their widest cell; ``right`` names those that are set to the right."""
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
