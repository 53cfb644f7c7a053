"""``hf-pack init``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=".", help="the directory (default: this one)")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api

    root = api.init(arguments.path)
    if arguments.json:
        print_json({"workspace": root})
    else:
        talk(f"made a workspace in {root}")
        talk("next: hf-pack add ORG/NAME, a model on the Hub; or the path of one on disk")
    return 0


COMMAND = Command(
    name="init",
    summary="make a workspace",
    description="Writes hf-pack.toml, models/, build-meta/ and the line of .gitignore that a workspace needs.",
    examples=("hf-pack init", "hf-pack init ~/models"),
    arguments=_arguments,
    run=_run,
)
