"""Writes docs/commands.md from the command line's own parser. Run by `make docs`; a test checks that it is current."""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_pack.cli.command import EXIT_CODES

TARGET = Path(__file__).parent / "commands.md"

HEAD = """\
# Commands

Written by `make docs` from the parser. stdout is data, stderr is talk; every command has `--json`, errors too
(`{"error": {"type", "message", "hint"}}`).
"""


def reference() -> str:
    """The whole page; it depends on the parser alone, not on how some Python version formats help."""
    from hf_pack.cli.main import build_parser

    parser = build_parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    parts = [HEAD, "| command | |\n|---|---|"]
    parts[-1] += "".join(f"\n| [`{name}`](#{name}) | {summary} |" for name, summary in summaries.items())
    parts += [_section(name, command) for name, command in commands.choices.items()]
    parts.append("## Exit codes\n\n" + "\n".join(EXIT_CODES.removeprefix("exit codes: ").split("\n")).replace("  ", ""))
    return "\n\n".join(parts) + "\n"


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    rows = [f"| `{_spelling(action)}` | {(action.help or '').replace('|', '/')} |" for action in actions]
    examples = (parser.epilog or "").split("\n\n")[0].removeprefix("examples:\n")
    lines = "\n".join(line.strip() for line in examples.splitlines())
    return f"## {name}\n\n{parser.description}\n\n```sh\n{lines}\n```\n\n| argument | |\n|---|---|\n" + "\n".join(rows)


def _spelling(action: argparse.Action) -> str:
    if not action.option_strings:
        choices = "/".join(map(str, action.choices)) if action.choices else action.dest.upper()
        return action.metavar if isinstance(action.metavar, str) else choices
    value = "" if action.nargs == 0 else " " + str(action.metavar or "/".join(action.choices or [action.dest.upper()]))
    return ", ".join(action.option_strings) + value


MATRIX_PAGE = Path(__file__).parent / "check.md"
MATRIX_HEAD = "## The matrix\n"


def check_page(text: str) -> str:
    """The page about `check` with the matrix of the data file after its last headline."""
    from hf_pack.api import checking
    from hf_pack.gpu.matrix_table import lines

    matrix = checking.matrix()
    parts = [
        text[: text.index(MATRIX_HEAD)] + MATRIX_HEAD,
        "Written by `make docs` from `src/hf_pack/data/quant-matrix.csv`: N native, M Marlin or Machete,\n"
        "W weight-only, E emulated, - unsupported, ? unknown, by compute capability.",
    ]
    for runtime in matrix.runtimes:
        rows = lines(matrix, runtime)
        table = [f"| {runtime} {matrix.versions(runtime)} | " + " | ".join(rows[0][1:]) + " |"]
        table.append("|---|" + "---|" * (len(rows[0]) - 1))
        table += ["| " + " | ".join(row) + " |" for row in rows[1:]]
        parts.append("\n".join(table))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference())
    MATRIX_PAGE.write_text(check_page(MATRIX_PAGE.read_text()))
