"""Writes docs/commands.md from the command line's own parser. Run by `make docs`; a test checks that it is current."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

TARGET = Path(__file__).parent / "commands.md"

HEAD = """\
# Commands

Written by `make docs` from the parser. stdout is data, stderr is talk; every command has `--json`, errors too
(`{"error": {"type", "message", "hint"}}`).
"""


def reference() -> str:
    """The whole page."""
    os.environ["COLUMNS"] = "100"
    from hf_pack.cli.main import build_parser

    parser = build_parser()
    parts = [HEAD, _section("hf-pack", parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts += [_section(f"hf-pack {name}", command) for name, command in action.choices.items()]
    return "\n".join(parts)


def _section(title: str, parser: argparse.ArgumentParser) -> str:
    return f"## {title}\n\n```\n{parser.format_help().strip()}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference())
