"""``hf-pack completion``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="whose script")


def _run(arguments: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    script = shellcode(["hf-pack"], shell=arguments.shell)
    if arguments.json:
        print_json({"shell": arguments.shell, "script": script})
    else:
        print(script)
    return 0


COMMAND = Command(
    name="completion",
    summary="the shell's completion script",
    description="Prints a script that completes commands, options and package names.",
    examples=(
        'eval "$(hf-pack completion bash)"',
        "hf-pack completion fish > ~/.config/fish/completions/hf-pack.fish",
    ),
    arguments=_arguments,
    run=_run,
)
