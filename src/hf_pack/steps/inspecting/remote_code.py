"""Which Python files a model needs: those that its configuration names, and those that they import.

transformers loads code by ``auto_map`` and follows relative imports (``get_relative_imports`` of its
dynamic_module_utils); sentence-transformers loads the class that ``modules.json`` names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hf_pack.formats.hashes import Hash
from hf_pack.model.lock import Lock
from hf_pack.weights.model_facts import model_facts
from hf_pack.weights.strict_json import JsonValue, loads
from hf_pack.weights.weights_error import HeaderError

_CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
)
_MODULES = "modules.json"
_OWN_MODULES = "sentence_transformers."


def needed_code(paths: Collection[str], read: Callable[[str], bytes]) -> tuple[str, ...]:
    """The ``.py`` files among ``paths`` that loading the model runs, sorted; ``read`` gives a file's bytes.

    A configuration that cannot be read names nothing here; inspecting the source reports it.
    """
    waiting = [path for path in _named(paths, read) if path in paths]
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [inner for inner in _imports(path, read(path)) if inner in paths]
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """A Python file that two locks have differently: its sha256 in each, None where it is not packaged."""

    file: str
    before: Hash | None
    now: Hash | None

    def __str__(self) -> str:
        if self.before is None or self.now is None:
            return f"remote code {'gone' if self.now is None else 'new'}: {self.file}"
        return f"remote code changed: {self.file}, sha256 {self.before.hex()} -> {self.now.hex()}"


def code_changes(before: Lock, now: Lock) -> tuple[CodeChange, ...]:
    """How the Python of two locks of a package differs, by file."""
    old, new = ({file.path: file.sha256 for file in lock.files if file.path.endswith(".py")} for lock in (before, now))
    return tuple(
        CodeChange(file=path, before=old.get(path), now=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def foreign_code(paths: Collection[str], read: Callable[[str], bytes]) -> tuple[tuple[str, str], ...]:
    """The configurations among ``paths`` that take code from another repository, each with that repository."""
    found = []
    for path in _CONFIGS:
        if path in paths and isinstance(config := _json(read(path)), dict):
            found += [(path, repo) for repo in model_facts(config, None).auto_map_repos]
    return tuple(found)


def _named(paths: Collection[str], read: Callable[[str], bytes]) -> Iterator[str]:
    for path in _CONFIGS:
        if path in paths and isinstance(config := _json(read(path)), dict):
            yield from model_facts(config, None).auto_map_files
    modules = _json(read(_MODULES)) if _MODULES in paths else None
    for module in modules if isinstance(modules, list) else ():
        name = module.get("type") if isinstance(module, dict) else None
        if isinstance(name, str) and not name.startswith(_OWN_MODULES):
            yield f"{name.rpartition('.')[0].replace('.', '/')}.py"


def _json(data: bytes) -> JsonValue:
    try:
        return loads(data)
    except HeaderError:
        return None


def _imports(path: str, source: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return  # the runtime will say so, if it ever runs this
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = path.split("/")[: -node.level]
            inner = node.module.split(".") if node.module else []
            for module in ([*parts, *inner], *([*parts, *inner, alias.name] for alias in node.names)):
                yield "/".join(module) + ".py"
                yield "/".join([*module, "__init__.py"])
