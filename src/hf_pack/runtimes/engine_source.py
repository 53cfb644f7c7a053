"""Reads a runtime's engine parameters from its own source text, by ``ast``: nothing of it is imported.

vLLM: the fields of ``AsyncEngineArgs`` and ``EngineArgs`` (``vllm/engine/arg_utils.py``), with the type names of
``vllm/config``. SGLang: the fields of ``ServerArgs`` (``sglang/srt/server_args.py``), in newer versions declared by
namespace classes in ``sglang/srt/arg_groups/fields``, with the choices that its command line allows.

A type is words joined by ``|``: ``bool``, ``int``, ``float``, ``str``, ``list``, ``table``, ``any``, or ``=word`` for
one allowed text. None is no value of a manifest and is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

#: Which files of the installed package (below the directory that holds it) are read, as regular expressions.
FILES: Mapping[str, str] = {
    "vllm": r"vllm/engine/arg_utils\.py|vllm/config\.py|vllm/config/\w+\.py",
    "sglang": r"sglang/srt/server_args\.py|sglang/srt/arg_groups/choices\.py|sglang/srt/arg_groups/fields/\w+\.py",
}
_CLASSES = {"vllm": ("EngineArgs", "AsyncEngineArgs"), "sglang": ("ServerArgs",)}
_PLAIN = {"bool": "bool", "int": "int", "float": "float", "str": "str", "bytes": "str", "Path": "str"} | {
    **dict.fromkeys(("list", "List", "set", "Set", "tuple", "Tuple", "Sequence"), "list"),
    **dict.fromkeys(("dict", "Dict", "Mapping"), "table"),
}
_NOT_WRITTEN = frozenset({"Callable", "type", "Type", "None", "NoneType"})


def engine_keys(runtime: str, sources: Mapping[str, str]) -> dict[str, str]:
    """The type of every engine parameter by name; ``sources`` are the texts of :data:`FILES` by path.

    Empty when the class is not where this module looks for it. Raises SyntaxError for a text that is no Python.
    """
    trees = [ast.parse(sources[path]) for path in sorted(sources)]
    types = _Types({name: node for tree in trees for name, node in _assignments(tree.body)})
    if runtime == "sglang":
        types.choices = {name: words for tree in trees for name, words in _command_line(tree, types)}
    wanted = _CLASSES[runtime]
    found: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and (node.name in wanted or _is_namespace(node)):
                for key, annotation in _fields(node):
                    found[key] = types.words(key, annotation)
    return dict(sorted(found.items()))


def _is_namespace(node: ast.ClassDef) -> bool:
    return any(isinstance(item, ast.Assign) and _target(item) == "_NS_PATH" for item in node.body)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            if not name.startswith("_") and _name(item.annotation) != "ClassVar":
                yield name, item.annotation


def _assignments(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for item in body:
        if isinstance(item, ast.Assign) and (name := _target(item)) is not None:
            yield name, item.value
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value is not None:
            yield item.target.id, item.value
        elif isinstance(item, ast.If):
            yield from _assignments(item.orelse)
            yield from _assignments(item.body)


def _target(item: ast.Assign) -> str | None:
    first = item.targets[0]
    return first.id if isinstance(first, ast.Name) else None


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _command_line(tree: ast.Module, types: _Types) -> Iterator[tuple[str, frozenset[str]]]:
    """The choices of ``add_argument("--tokenizer-mode", choices=[…])``, by field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "add_argument" and node.args:
            flag = node.args[0]
            choices = types.choices_of(node)
            if choices and isinstance(flag, ast.Constant) and isinstance(flag.value, str):
                yield flag.value.removeprefix("--").replace("-", "_"), choices


class _Types:
    """Annotations as words; ``names`` are what modules assign at their top, ``choices`` those of the command line."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names
        self.choices: Mapping[str, frozenset[str]] = {}

    def words(self, key: str, annotation: ast.expr) -> str:
        found = self._of(annotation, frozenset())
        if "str" in found and key in self.choices:
            found = (found - {"str"}) | self.choices[key]
        if "any" in found or not found:
            return "any"
        if "str" in found:
            found = frozenset(word for word in found if not word.startswith("="))
        return "|".join(sorted(found))

    def choices_of(self, call: ast.Call) -> frozenset[str]:
        """The texts of a ``choices=`` keyword, a list or the name of one; empty for anything that runs first."""
        node = next((keyword.value for keyword in call.keywords if keyword.arg == "choices"), None)
        if isinstance(node, ast.Name):
            node = self.names.get(node.id)
        if not isinstance(node, ast.List | ast.Tuple) or not all(isinstance(item, ast.Constant) for item in node.elts):
            return frozenset()
        values = [item.value for item in node.elts if isinstance(item, ast.Constant)]
        texts = [value for value in values if isinstance(value, str)]
        return frozenset(f"={text}" for text in texts) if len(texts) == len(values) else frozenset()

    def _of(self, node: ast.expr, seen: frozenset[str]) -> frozenset[str]:
        match node:
            case ast.Constant(value=None):
                return frozenset()
            case ast.Constant(value=str(text)):
                return self._of(ast.parse(text, mode="eval").body, seen)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._of(left, seen) | self._of(right, seen)
            case ast.Name() | ast.Attribute():
                return self._named(_name(node), seen)
            case ast.Subscript():
                return self._subscript(_name(node), node.slice, seen)
        return frozenset({"any"})

    def _named(self, name: str, seen: frozenset[str]) -> frozenset[str]:
        if name in _NOT_WRITTEN:
            return frozenset()
        if name in _PLAIN:
            return frozenset({_PLAIN[name]})
        if name in self.names and name not in seen:
            return self._of(self.names[name], seen | {name})
        return frozenset({"table" if name.endswith("Config") else "any"})

    def _subscript(self, name: str, inner: ast.expr, seen: frozenset[str]) -> frozenset[str]:
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name in ("A", "Annotated"):
            found = self._of(parts[0], seen)
            for call in (part for part in parts[1:] if isinstance(part, ast.Call)):
                choices = self.choices_of(call)
                found = (found - {"str"}) | choices if choices and "str" in found else found
                if any(keyword.arg == "type_parser" for keyword in call.keywords):
                    found |= {"str"}  # the command line reads words of its own there, such as 8k
            return found
        if name in ("Optional", "Union", "Final"):
            return frozenset().union(*(self._of(part, seen) for part in parts))
        if name == "Literal":
            return frozenset().union(*(self._literal(part, seen) for part in parts))
        return self._named(name, seen)

    def _literal(self, node: ast.expr, seen: frozenset[str]) -> frozenset[str]:
        if isinstance(node, ast.Constant):
            value = node.value
            return frozenset({f"={value}"} if isinstance(value, str) else {type(value).__name__} - {"NoneType"})
        return self._of(node, seen)
