"""``hf-pack bump``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, name_argument
from hf_pack.cli.output import print_json, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("-m", dest="message", metavar="TEXT", required=True, help="the changelog of this build")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.errors import UsageError

    if not arguments.message.strip():
        raise UsageError("-m is empty", hint="say what changed: hf-pack bump NAME -m TEXT")
    version, meta = api.bump(arguments.name, arguments.message)
    if arguments.json:
        print_json({"version": version, "build_meta": meta})
    else:
        print(version)
        talk(f"build {meta.build_version}; next: hf-pack build {arguments.name}")
    return 0


COMMAND = Command(
    name="bump",
    summary="the next build of a package",
    description=(
        "Counts build_version up and records git_rev and the changelog in build-meta/NAME.json; raises the last\n"
        "part of base_version when the version would otherwise stay the same. Locks stay fresh."
    ),
    examples=("hf-pack bump my-model -m 'Tokenizer patched for SGLang.'",),
    arguments=_arguments,
    run=_run,
)
