"""Known issues of models in versions of runtimes, from a table (``data/known-issues.toml``).

A condition speaks of one small JSON file, of what else is packaged, and of the weights; all of it must hold.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from hf_pack.model import manifest_text
from hf_pack.model.json_value import JsonObject, JsonValue
from hf_pack.model.manifest import Patch
from hf_pack.runtimes.requirement import overlap

_VERSION = 1
TITLE = "known issue"  #: how every sentence about one begins
_COPY = "= "  #: a patch's value that is taken from the file that it changes
_ISSUE_KEYS = {"id", "symptom", "runtimes", "source", "expires", "when", "patch", "advice"}
_WHEN_KEYS = {"file", "equals", "has", "lacks", "tensor_dtypes", "without_files", "repo_ids"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """``file`` must be packaged; ``has`` and ``lacks`` are dotted keys of it, ``equals`` texts of its top keys.

    One of ``tensor_dtypes`` must be in the weights, no file may match ``without_files``, and the repo id must match
    one of ``repo_ids`` in lower case; empty asks nothing.
    """

    file: str
    equals: Mapping[str, JsonValue] = field(default_factory=dict)
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    tensor_dtypes: tuple[str, ...] = ()
    without_files: tuple[str, ...] = ()
    repo_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One entry. ``runtimes`` are version specifiers by runtime; ``patch`` or ``advice`` says what mends it."""

    id: str
    symptom: str
    runtimes: Mapping[str, str]
    source: str
    expires: str
    when: Condition
    patch: Patch | None
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSigns:
    """What an issue is told by: parsed JSON files by path, all packaged paths, the dtypes of the tensors' headers.

    Without any path it is not known what is packaged: a cache's index does not say it.
    """

    configs: Mapping[str, JsonObject]
    files: tuple[str, ...]
    tensor_dtypes: tuple[str, ...]
    repo_id: str


def parse_issues(text: str) -> tuple[Issue, ...]:
    """Read the table. Raises ValueError for one that is malformed."""
    document = tomllib.loads(text)
    if document.get("version") != _VERSION:
        raise ValueError(f"version: expected {_VERSION}, found {document.get('version')!r}")
    return tuple(map(_issue, document["issue"]))


def find(issues: Iterable[Issue], signs: ModelSigns, runtimes: Mapping[str, str]) -> tuple[Issue, ...]:
    """The issues of a model, each with its patch's values filled in.

    ``runtimes`` are the versions that matter, as PEP 440 specifiers by runtime: a manifest's ``runtimes``, or
    ``{"vllm": "==0.18.0"}`` for one that is installed. Empty means every runtime in every version. Triton's own version
    says nothing of the vLLM inside it: ``triton`` alone means vLLM in every version.
    """
    wanted = dict(runtimes)
    if "triton" in wanted:
        wanted.setdefault("vllm", "")
        del wanted["triton"]
    found = []
    for issue in issues:
        if not holds(issue.when, signs):  # first, because versions take longer to compare
            continue
        if not wanted or any(
            runtime in wanted and overlap(versions, wanted[runtime]) for runtime, versions in issue.runtimes.items()
        ):
            config = signs.configs[issue.when.file]
            found.append(replace(issue, patch=None if issue.patch is None else _filled(issue.patch, config)))
    return tuple(found)


def holds(condition: Condition, signs: ModelSigns) -> bool:
    """Whether every part of the condition is true."""
    config = signs.configs.get(condition.file)
    return (
        config is not None
        and all(config.get(key) == value for key, value in condition.equals.items())
        and all(_at(config, key) is not None for key in condition.has)
        and all(_at(config, key) is None for key in condition.lacks)
        and (not condition.tensor_dtypes or not {*condition.tensor_dtypes}.isdisjoint(signs.tensor_dtypes))
        and (not condition.without_files or _lacks(signs.files, condition.without_files))
        and (
            not condition.repo_ids or any(fnmatchcase(signs.repo_id.lower(), pattern) for pattern in condition.repo_ids)
        )
    )


def _lacks(files: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    return bool(files) and not any(fnmatchcase(path, pattern) for path in files for pattern in patterns)


def sentence(issue: Issue) -> str:
    """The issue for a person: what and where."""
    where = ", ".join(f"{runtime} {versions or 'in any version'}" for runtime, versions in issue.runtimes.items())
    return f"{TITLE} {issue.id}, {where}: {issue.symptom}"


def mend(issue: Issue) -> str:
    """What helps: a sentence, or one that ends with the manifest entry on lines of its own."""
    if issue.patch is None:
        return issue.advice
    return f"this in the manifest mends it:\n{manifest_text.patch_entry(issue.patch)}"


def _issue(table: Mapping[str, object]) -> Issue:
    name = table.get("id")
    if not set(table) <= _ISSUE_KEYS or ("patch" in table) == ("advice" in table):
        raise ValueError(
            f"{name}: expected {', '.join(sorted(_ISSUE_KEYS))}, with patch or advice, found {sorted(table)}"
        )
    when, patch = table["when"], table.get("patch")
    if not isinstance(when, dict) or not set(when) <= _WHEN_KEYS:
        raise ValueError(f"{name}: when: expected {', '.join(sorted(_WHEN_KEYS))}")
    lists: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in when.items()}
    changes: dict[str, Any] | None = None
    if isinstance(patch, dict):
        changes = {key: tuple(value) if key == "delete" else value for key, value in patch.items()}
    try:
        return Issue(
            id=str(table["id"]),
            symptom=str(table["symptom"]),
            runtimes=dict(table["runtimes"]),  # type: ignore[call-overload]
            source=str(table["source"]),
            expires=str(table["expires"]),
            when=Condition(**lists),
            patch=None if changes is None else Patch(**changes),
            advice=str(table.get("advice", "")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from None


def _filled(patch: Patch, config: JsonObject) -> Patch:
    values = {
        key: _at(config, value.removeprefix(_COPY)) if isinstance(value, str) and value.startswith(_COPY) else value
        for key, value in patch.set.items()
    }
    return replace(patch, set=values)


def _at(config: JsonObject, key: str) -> JsonValue:
    found: JsonValue = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
