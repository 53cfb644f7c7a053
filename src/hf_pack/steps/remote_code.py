"""Which Python files a model needs: those that its configuration names, and those that they import.

transformers loads code by ``auto_map`` and follows relative imports (``get_relative_imports`` of its
dynamic_module_utils); sentence-transformers loads the class that ``modules.json`` names.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator

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
