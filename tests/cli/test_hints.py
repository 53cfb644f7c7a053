"""A hint that begins with a command is one that works when it is pasted, as far as the parser can tell."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from hf_pack.cli.main import build_parser
from hf_pack.errors import UsageError

SOURCE = Path(__file__).parents[2] / "src" / "hf_pack"


def _texts(value: ast.expr) -> Iterator[str]:
    """What an expression may say; what it puts in is ``x``."""
    match value:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one)
            yield from _texts(other)
        case ast.BinOp(left=left):
            yield from _texts(left)


def _hints() -> Iterator[tuple[str, str]]:
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.keyword(arg="hint", value=value) | ast.Assign(targets=[ast.Name(id="hint")], value=value):
                    yield from ((file.relative_to(SOURCE).as_posix(), text) for text in _texts(value))


def test_commands_in_hints_are_commands() -> None:
    parser, tried = build_parser(), 0
    for file, hint in _hints():
        command = re.split(r",| \(|; | && |\n", hint)[0]
        if not command.startswith("hf-pack "):
            continue
        tried += 1
        try:
            parsed = parser.parse_args(shlex.split(command)[1:])
        except UsageError as error:
            raise AssertionError(f"{file}: {hint}: {error.message}") from None
        prose = {"a", "for", "has", "lists", "of", "shows", "to", "what", "without"} & set(command.split())
        assert not prose, f"{file}: {hint}"
        assert parsed.command
    assert tried > 60
