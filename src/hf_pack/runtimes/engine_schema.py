"""Engine parameters held against the schema of the runtime, by version.

A schema lists, for each key, in which versions it exists and which values it takes. It is generated from the runtimes'
own sources (``scripts/engine_schemas.py``, :mod:`hf_pack.runtimes.engine_source`), or read from an installed runtime.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.runtimes.flags import word
from hf_pack.runtimes.requirement import satisfies

#: Keys that say where the model lies: the package is the model.
_PLACES = frozenset({"download_dir", "model", "model_path", "model_weights", "revision", "tokenizer", "tokenizer_path"})
_NAMES = {"table": "a table", "list": "an array", "str": "a text", "int": "a whole number", "float": "a number"}
_NAMES |= {"bool": "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A key in the versions ``first`` to ``last`` (positions in the schema's list), with its types' words."""

    first: int
    last: int
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """What became of a key that is gone: what to write now, and the file of the runtime that says so."""

    now: str  #: begins with a key; where it is a key alone, the value stays
    source: str

    @property
    def key(self) -> str:
        """The key of today."""
        return re.split(r"\W", self.now, maxsplit=1)[0]

    @property
    def keeps_value(self) -> bool:
        """Whether the name alone changed."""
        return self.now == self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSchema:
    """The engine parameters of a runtime in ``versions`` (oldest first); each key's spans are sorted and apart.

    ``renamed`` are keys that are gone in some version.
    """

    runtime: str
    versions: tuple[str, ...]
    keys: Mapping[str, tuple[Span, ...]]
    renamed: Mapping[str, Renamed]

    def at(self, key: str, version: int) -> Span | None:
        """What the key is in the version at this position; None where it does not exist."""
        return next((span for span in self.keys.get(key, ()) if span.first <= version <= span.last), None)

    def became(self, key: str, version: int) -> Renamed | None:
        """What takes the place of a key in the version at this position; it may have changed its name twice."""
        found = self.renamed.get(key)
        while found is not None and self.at(found.key, version) is None:
            found = self.renamed.get(found.key) if found.keeps_value else None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterProblem:
    """One key that the runtime would not take, in the words of an error."""

    key: str
    problem: str
    expected: str = ""
    found: str = ""
    hint: str = ""

    def __str__(self) -> str:
        parts = [f"expected {self.expected}" if self.expected else "", f"found {self.found}" if self.found else ""]
        said = f": {', '.join(part for part in parts if part)}" if any(parts) else ""
        return f"{self.key}: {self.problem}{said}{f' ({self.hint})' if self.hint else ''}"


def parse_schema(text: str) -> EngineSchema:
    """Read ``data/engine-<runtime>.json``."""
    document = json.loads(text)
    keys = {
        key: tuple(Span(first=first, last=last, words=frozenset(words.split("|"))) for first, last, words in spans)
        for key, spans in document["keys"].items()
    }
    renamed = {key: Renamed(now=now, source=source) for key, (now, source) in document["renamed"].items()}
    return EngineSchema(runtime=document["runtime"], versions=tuple(document["versions"]), keys=keys, renamed=renamed)


def schema_of(runtime: str, version: str, keys: Mapping[str, str]) -> EngineSchema:
    """The schema of one version, from :func:`hf_pack.runtimes.engine_source.engine_keys`."""
    spans = {key: (Span(first=0, last=0, words=frozenset(words.split("|"))),) for key, words in keys.items()}
    return EngineSchema(runtime=runtime, versions=(version,), keys=spans, renamed={})


def covered(schema: EngineSchema, requirement: str | None) -> tuple[int, ...]:
    """Which of the schema's versions a package is for, as positions; without a requirement the newest."""
    if requirement is None:
        return (len(schema.versions) - 1,)
    return tuple(index for index, version in enumerate(schema.versions) if satisfies(version, requirement))


def parameter_problems(
    schema: EngineSchema, parameters: JsonObject, requirement: str | None
) -> tuple[ParameterProblem, ...]:
    """What is wrong with the parameters in any version that ``requirement`` (PEP 440) allows, one problem a key.

    A requirement that allows none of the schema's versions finds nothing: nothing is known of them.
    """
    wanted = covered(schema, requirement)
    found = (_problem(schema, key, value, wanted, requirement) for key, value in parameters.items())
    return tuple(problem for problem in found if problem is not None)


def _problem(
    schema: EngineSchema, key: str, value: JsonValue, wanted: tuple[int, ...], requirement: str | None
) -> ParameterProblem | None:
    if key in _PLACES:
        return ParameterProblem(
            key=key, problem="the package sets it itself", found=word(value), hint="remove it: it would lead elsewhere"
        )
    missing = [index for index in wanted if schema.at(key, index) is None]
    if missing:
        return _absent(schema, key, missing, wanted, requirement)
    for index in wanted:
        span = schema.at(key, index)
        if span is not None and not _takes(span.words, value, schema.runtime):
            return ParameterProblem(
                key=key,
                problem=f"{schema.runtime} {schema.versions[index]} does not take this value",
                expected=_expected(span.words),
                found=word(value),
                hint=_nearest_choice(span.words, value),
            )
    return None


def _absent(
    schema: EngineSchema, key: str, missing: list[int], wanted: tuple[int, ...], requirement: str | None
) -> ParameterProblem:
    runtime, spans = schema.runtime, schema.keys.get(key, ())
    last = len(schema.versions) - 1
    place = missing[-1]
    became, near = schema.became(key, place), _nearest(schema, key, wanted)
    write = "remove it" if became is None else f"write {became.now}, as {became.source} says"
    if not spans:
        known = f"{schema.versions[0]} to {schema.versions[-1]}" if len(schema.versions) > 1 else schema.versions[0]
        guess = f"did you mean {near}?" if near else ""
        return ParameterProblem(
            key=key, problem=f"no engine parameter of {runtime} {known}", hint=write if became is not None else guess
        )
    if spans[-1].last < place:
        gone = spans[-1].last + 1
        problem = f"removed in {runtime} {schema.versions[gone]}"
        if became is not None and became.keeps_value:
            problem = f"renamed in {runtime} {schema.versions[gone]}, now {became.key}"
        instead = f"; the nearest there is {near}" if near and became is None else ""
        state = f'or state runtimes = {{ {runtime} = "<{schema.versions[gone]}" }}{instead}'
    else:
        came = next(span.first for span in spans if span.last >= missing[0])
        problem = f"not in {runtime} before {schema.versions[came]}"
        state = f'or state runtimes = {{ {runtime} = ">={schema.versions[came]}" }}'
    if requirement is None:
        asked = f"{runtime} {schema.versions[last]}, the newest known"
    else:
        asked = f"{runtime}{requirement} allows {schema.versions[place]}"
    return ParameterProblem(key=key, problem=f"{problem}; {asked}", hint=f"{write}, {state}")


def _nearest(schema: EngineSchema, key: str, wanted: tuple[int, ...]) -> str | None:
    there = [name for name in schema.keys if all(schema.at(name, index) for index in wanted)]
    close = get_close_matches(key, there, n=1, cutoff=0.7)
    return close[0] if close else None


def _takes(words: frozenset[str], value: JsonValue, runtime: str) -> bool:
    if "any" in words:
        return True
    match value:
        case bool():
            return "bool" in words
        case int():
            return not words.isdisjoint({"int", "float"})
        case float():
            return "float" in words
        case str():
            return "str" in words or f"={value}" in words
        case list() | tuple():
            return "list" in words
    # SGLang takes tables as JSON in a text, which is how they are rendered for it.
    return "table" in words or (runtime == "sglang" and "str" in words)


def _expected(words: frozenset[str]) -> str:
    choices = sorted(word.removeprefix("=") for word in words if word.startswith("="))
    kinds = [_NAMES[word] for word in sorted(words) if word in _NAMES]
    if choices:
        kinds.append(f"one of {', '.join(choices)}")
    return " or ".join(kinds)


def _nearest_choice(words: frozenset[str], value: JsonValue) -> str:
    choices = [word.removeprefix("=") for word in words if word.startswith("=")]
    close = get_close_matches(value, choices, n=1, cutoff=0.6) if isinstance(value, str) else []
    return f"did you mean {close[0]}?" if close else ""
