"""What a command is: a name, its help, its arguments, and a function from arguments to an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

EXIT_CODES = """\
exit codes: 0 done, 1 bug, 2 usage or manifest, 3 lock missing or stale, 4 Hub or network,
            5 integrity mismatch, 6 store refused, 7 not compatible, 8 refused by policy, 130 interrupted"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of the command line."""

    name: str
    summary: str  #: one line
    description: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_to(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], command: Command) -> None:
    """Give the command its parser; every command has ``--json``, ``-C`` and ``--help``."""
    parser = subparsers.add_parser(
        command.name,
        help=command.summary,
        description=command.description,
        epilog="examples:\n" + "\n".join(f"  {line}" for line in command.examples) + "\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document; errors too")
    parser.add_argument(
        "-C", dest="directory", metavar="DIR", default=argparse.SUPPRESS, help="act as if started in DIR"
    )
    parser.set_defaults(run=command.run)


def store_argument(parser: argparse.ArgumentParser) -> None:
    """``--store URL``."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="the store: auto, daemon, a path, or local?root=PATH (default: $HF_PACK_STORE, else auto)",
    )


def allow_argument(parser: argparse.ArgumentParser) -> None:
    """``--allow KEY[=VALUE]``."""
    parser.add_argument(
        "--allow",
        metavar="KEY[=VALUE]",
        action="append",
        default=[],
        help="an entry of the manifest's [allow], such as remote_code or remote_code=modeling.py; may be repeated",
    )


def redistribution_argument(parser: argparse.ArgumentParser) -> None:
    """``--allow-redistribution``."""
    parser.add_argument(
        "--allow-redistribution",
        dest="redistribute",
        action="store_true",
        help="although the model's licence does not let everybody pass it on",
    )


def name_argument(parser: argparse.ArgumentParser, *, many: bool = False, help_text: str = "") -> None:
    """``NAME`` or ``NAME…``, completed from the workspace."""
    argument = parser.add_argument(
        "names" if many else "name",
        metavar="NAME",
        nargs="*" if many else None,
        help=help_text or ("packages of this workspace; none means all" if many else "a package of this workspace"),
    )
    completed(argument)


def completed(argument: argparse.Action) -> None:
    """Let the shell complete package names for this argument."""
    argument.completer = complete_names  # type: ignore[attr-defined]


def complete_names(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Package names of the workspace, for shell completion."""
    from pathlib import Path

    from hf_pack import wiring

    workspace = wiring.optional_workspace(Path(parsed_args.directory))
    return [] if workspace is None else list(workspace.names())
