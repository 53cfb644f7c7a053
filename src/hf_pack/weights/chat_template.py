"""Chat templates: where they stand in a model's files, and what in them reaches outside Jinja's sandbox.

transformers, vLLM and SGLang render them in Jinja's ``ImmutableSandboxedEnvironment`` (transformers,
``utils/chat_template_utils.py``), which refuses attributes that begin with an underscore and those of Python's
interpreter (``jinja2.sandbox.is_internal_attribute``). A template that asks for them has no honest use for it: it
hopes for a renderer without that sandbox, as several tools had (CVE-2024-34359, CVE-2025-61620).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hf_pack.weights.gguf import GgufHeader
from hf_pack.weights.strict_json import JsonValue

if TYPE_CHECKING:
    from jinja2 import nodes

TEMPLATE_LIMIT = 1 << 20
"""Bytes; the longest that is known takes some 30 thousand."""

_FILE = re.compile(r".+\.(?:jinja2?|j2)", re.IGNORECASE)
_SETTINGS = re.compile(r"(?:.*/)?(?:tokenizer_config|processor_config|preprocessor_config|chat_template)\.json")
_GGUF_KEY = "tokenizer.chat_template"

#: Attributes of functions, frames, code, tracebacks, generators and types that lead to the interpreter.
_INTERNAL = frozenset({
    "mro", "f_back", "f_builtins", "f_code", "f_globals", "f_locals", "func_builtins", "func_closure", "func_code",
    "func_defaults", "func_globals", "im_class", "im_func", "im_self", "gi_code", "gi_frame", "gi_yieldfrom",
    "cr_await", "cr_code", "cr_frame", "ag_await", "ag_code", "ag_frame", "tb_frame", "tb_next", "co_code", "co_consts",
})  # fmt: skip
#: In a text: ``__class__``, or the ``{0._secret}`` of a format string.
_REACHING = re.compile(r"__\w+__|\{[^{}]*[.\[]_")
_LOADING = ("Include", "Import", "FromImport", "Extends")


def is_template(path: str) -> bool:
    """Whether a file of this name is a template."""
    return _FILE.fullmatch(path) is not None


def may_hold_templates(path: str) -> bool:
    """Whether a file of this name is settings that may have templates among them."""
    return _SETTINGS.fullmatch(path) is not None


def templates_in_config(config: JsonValue) -> tuple[str, ...]:
    """The templates under ``chat_template`` of a parsed settings file: one text, or a list or object of named ones."""
    stated = config.get("chat_template") if isinstance(config, Mapping) else None
    if isinstance(stated, str):
        return (stated,)
    if isinstance(stated, Mapping):
        return tuple(text for text in stated.values() if isinstance(text, str))
    named = stated if isinstance(stated, list | tuple) else ()
    found = (one.get("template") if isinstance(one, Mapping) else one for one in named)
    return tuple(text for text in found if isinstance(text, str))


def templates_in_gguf(header: GgufHeader) -> tuple[str, ...]:
    """The templates in a GGUF file's metadata: ``tokenizer.chat_template`` and ``tokenizer.chat_template.NAME``."""
    return tuple(
        value
        for key, value in header.metadata
        if isinstance(value, str) and (key == _GGUF_KEY or key.startswith(f"{_GGUF_KEY}."))
    )


def escapes(template: str) -> str | None:
    """What in a template reaches outside the sandbox, with its line, or why nobody can tell; None for an honest one."""
    if len(template) > TEMPLATE_LIMIT:
        return f"a chat template of {len(template)} characters, expected at most {TEMPLATE_LIMIT}"
    from jinja2 import Environment, TemplateSyntaxError, nodes  # its import takes longer than most commands
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser

    class Generation(Extension):
        """``{% generation %}`` of transformers, which marks the assistant's words."""

        tags = {"generation"}  # noqa: RUF012 - as the base class declares it

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    try:
        tree = Environment(extensions=[loopcontrols, Generation]).parse(template)
        return next(_reaches(tree), None)
    except TemplateSyntaxError as error:
        return f"a chat template that Jinja does not parse, line {error.lineno}: {_shown(error.message or '')}"
    except (RecursionError, ValueError, OverflowError):
        return "a chat template that Jinja does not parse: it is nested too deep, or has a number of too many digits"


def _reaches(tree: nodes.Template) -> Iterator[str]:
    from jinja2 import nodes

    for node in _all(tree):
        found = None
        if isinstance(node, nodes.Getattr) and _is_internal(node.attr):
            found = f"asks for the attribute {node.attr}"
        elif isinstance(node, nodes.Getitem) and isinstance(key := _constant(node.arg), str) and _is_internal(key):
            found = f"asks for the attribute {key}"
        elif isinstance(node, nodes.Filter) and node.name == "attr":
            found = _attr_filter(node)
        elif isinstance(node, nodes.Name) and node.name.startswith("__"):
            found = f"asks for {node.name}"
        elif isinstance(node, nodes.Const) and isinstance(node.value, str) and _REACHING.search(node.value):
            found = f"holds the text {node.value}"
        elif isinstance(node, nodes.Concat | nodes.Add) and _REACHING.search(str(_constant(node) or "")):
            found = f"puts together the text {_constant(node)}"
        elif type(node).__name__ in _LOADING:
            found = "loads another template"
        if found is not None:
            yield f"a chat template that reaches outside Jinja's sandbox: line {node.lineno} {_shown(found)}"


def _attr_filter(node: nodes.Filter) -> str | None:
    name = _constant(node.args[0]) if node.args else None
    if not isinstance(name, str):
        return "makes up the name of an attribute"
    return f"asks for the attribute {name}" if _is_internal(name) else None


def _is_internal(name: str) -> bool:
    return name.startswith("_") or name in _INTERNAL


def _constant(node: nodes.Expr) -> object:
    """The value of an expression without variables, else None. Calls and filters are not run."""
    from jinja2 import nodes

    if isinstance(node, nodes.Const):
        return node.value
    parts: list[nodes.Expr] = []
    if isinstance(node, nodes.Concat):
        parts = node.nodes
    elif isinstance(node, nodes.Add):
        parts = [node.left, node.right]
    values = [_constant(part) for part in parts]
    return "".join(map(str, values)) if values and all(isinstance(value, str | int) for value in values) else None


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    """Every node below, without recursion: a template may nest deeper than Python does."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += found.iter_child_nodes()


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:100] if not text.isprintable() else text[:100]
