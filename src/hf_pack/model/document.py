"""Reading a document that somebody wrote: every problem is collected, with its place and what was expected.

A :class:`Table` walks one object of the document. Its methods return a value of the right type even where the
document has none (the problem is noted then), so that a reader goes on to the end and raises once.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from hf_pack.model.json_value import JsonObject, JsonValue

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

UNKNOWN_KEY = "unknown key"  #: the message of the problems that :meth:`Table.refuse_unknown` notes

_SHOWN = 100  #: characters of a found value that a message repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document.

    ``path`` is the place in it (``source.slug``, ``patch[0].set``), empty for the document as a whole;
    ``expected`` and ``found`` are empty where the message says it all.
    """

    path: str
    message: str
    expected: str = ""
    found: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        expected = f": expected {self.expected}" if self.expected else ""
        found = f"{',' if expected else ':'} found {self.found}" if self.found else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{expected}{found}{hint}"


class Problems(ValueError):  # noqa: N818 - it holds several
    """A document has these problems; the text has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def show(value: object) -> str:
    """A value as a message repeats it: JSON where it is JSON, cut to 100 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint that names the most similar of the known words, or nothing."""
    found = difflib.get_close_matches(key, tuple(known), n=1)
    return f"did you mean {found[0]!r}?" if found else ""


class Table:
    """One object of a document, with its place and the list that problems go to."""

    def __init__(self, value: Mapping[str, object], place: str, problems: list[Problem]) -> None:
        self._value = value
        self._place = place
        self._problems = problems

    def place(self, key: str) -> str:
        """The path of a key in the document."""
        return f"{self._place}.{key}" if self._place else key

    def has(self, key: str) -> bool:
        """Whether the document has the key, with whatever value."""
        return key in self._value

    def problem(self, key: str, message: str, *, expected: str = "", found: str = "", hint: str = "") -> None:
        """Note a problem of a key."""
        self._problems.append(Problem(path=self.place(key), message=message, expected=expected, found=found, hint=hint))

    def refuse_unknown(self, known: Sequence[str], hints: Mapping[str, str] | None = None) -> None:
        """Note every key that is not one of ``known``; ``hints`` are for keys that have a better place."""
        for key in self._value:
            if key not in known:
                hint = (hints or {}).get(key) or nearest(key, known)
                self.problem(key, UNKNOWN_KEY, expected=f"one of {', '.join(known)}", hint=hint)

    def optional_text(self, key: str) -> str | None:
        """A string, None when absent."""
        return self._optional(key, str, "a string")

    def text(self, key: str) -> str:
        """A string that must be there; the empty one after a problem."""
        return self._required(key, str, "a string", "")

    def flag(self, key: str) -> bool:
        """True or false, false when absent."""
        return self._optional(key, bool, "true or false") or False

    def whole(self, key: str, *, minimum: int = 0) -> int:
        """A whole number that must be there and not below ``minimum``."""
        return self._at_least(key, self._required(key, int, "a whole number", minimum), minimum)

    def optional_whole(self, key: str) -> int | None:
        """A whole number of 0 or more, None when absent."""
        value = self._optional(key, int, "a whole number")
        return None if value is None else self._at_least(key, value, 0)

    def optional_texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings, None when absent."""
        values = self._optional(key, list, "a list of strings")
        if values is None:
            return None
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problem(f"{key}[{index}]", "unexpected type", expected="a string", found=show(value))
        return tuple(value for value in values if isinstance(value, str))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, empty when absent."""
        return self.optional_texts(key) or ()

    def flag_or_texts(self, key: str) -> tuple[str, ...] | bool:
        """True, false or a list of strings; false when absent or empty."""
        if isinstance(self._value.get(key), list):
            return self.texts(key) or False
        return self._optional(key, bool, "true, false or a list of strings") or False

    def optional_table(self, key: str) -> Table | None:
        """An object below this one, None when absent."""
        value = self._optional(key, dict, "a table")
        return None if value is None else Table(value, self.place(key), self._problems)

    def table(self, key: str) -> Table:
        """An object below this one that must be there; an empty one after a problem notes nothing further."""
        if isinstance(value := self._value.get(key), dict):
            return Table(value, self.place(key), self._problems)
        self._required(key, dict, "a table", {})
        return Table({}, self.place(key), [])

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of objects, empty when absent."""
        values = self._optional(key, list, "a list of tables") or []
        found = []
        for index, value in enumerate(values):
            if isinstance(value, dict):
                found.append(Table(value, self.place(f"{key}[{index}]"), self._problems))
            else:
                self.problem(f"{key}[{index}]", "unexpected type", expected="a table", found=show(value))
        return tuple(found)

    def pairs(self, key: str, kind: type[T], expected: str) -> tuple[tuple[str, T], ...]:
        """A list of lists of a string and a ``kind``, empty when absent. ``expected`` names the kind."""
        found = []
        for index, value in enumerate(self._optional(key, list, "a list of pairs") or []):
            match value:
                case [str() as first, second] if isinstance(second, kind) and not isinstance(second, bool):
                    found.append((first, second))
                case _:
                    self.problem(
                        f"{key}[{index}]",
                        "unexpected type",
                        expected=f"[a string, {expected}]",
                        found=show(value),
                    )
        return tuple(found)

    def json(self, key: str) -> JsonObject:
        """An object of any JSON values, empty when absent.

        Dates, NaN, infinities and integers beyond 64 bits are problems: they do not survive JSON.
        """
        value = self._optional(key, dict, "a table") or {}
        self._check_json(key, value)
        return value

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """A string that must be there, read by ``parse``, whose ``ValueError`` becomes the problem."""
        if self._value.get(key) is None:
            self.text(key)
        return self.optional_parsed(key, parse)

    def optional_parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """A string, read by ``parse``; None when absent or after a problem."""
        text = self.optional_text(key)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problem(key, str(error))
            return None

    def parsed_list(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """A list of strings, each read by ``parse``; empty when absent."""
        found = []
        for index, text in enumerate(self.texts(key)):
            try:
                found.append(parse(text))
            except ValueError as error:
                self.problem(f"{key}[{index}]", str(error))
        return tuple(found)

    def optional_choice(self, key: str, kind: type[E]) -> E | None:
        """One of an enumeration's values; None when absent or after a problem."""
        text = self.optional_text(key)
        known = [member.value for member in kind]
        if text is None or text in known:
            return None if text is None else kind(text)
        self.problem(
            key,
            "unknown value",
            expected=f"one of {', '.join(known)}",
            found=show(text),
            hint=nearest(text, known),
        )
        return None

    def choice(self, key: str, kind: type[E]) -> E | None:
        """One of an enumeration's values that must be there; None after a problem."""
        if self._value.get(key) is None:
            self.text(key)
        return self.optional_choice(key, kind)

    def _optional(self, key: str, kind: type[T], expected: str) -> T | None:
        value = self._value.get(key)
        # JSON's null stands for an absent value; TOML has none.
        if value is None:
            return None
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.problem(key, "unexpected type", expected=expected, found=show(value))
        return None

    def _required(self, key: str, kind: type[T], expected: str, default: T) -> T:
        if self._value.get(key) is None:
            self.problem(key, "missing", expected=expected)
            return default
        value = self._optional(key, kind, expected)
        return default if value is None else value

    def _at_least(self, key: str, value: int, minimum: int) -> int:
        if value >= minimum:
            return value
        self.problem(key, "out of range", expected=f"{minimum} or more", found=str(value))
        return minimum

    def _check_json(self, key: str, value: object) -> None:
        match value:
            case dict():
                for inner, child in value.items():
                    self._check_json(f"{key}.{inner}", child)
            case list():
                for index, child in enumerate(value):
                    self._check_json(f"{key}[{index}]", child)
            case None | bool() | str():
                pass
            case int() if -(2**63) <= value < 2**63:
                pass
            case float() if value - value == 0:  # finite
                pass
            case int() | float():
                self.problem(key, "not a number that JSON has", expected="64 bits, finite", found=show(value))
            case _:
                hint = "write it as a string"
                self.problem(key, "a date or time is no JSON value", found=str(value), hint=hint)


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two JSON values are equal: true is not 1, the order of keys does not matter, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other
