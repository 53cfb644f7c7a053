"""``hf-pack key``."""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help="generate NAME, or show KEYFILE"
    )
    generate = actions.add_parser("generate", help="make a key: NAME.secret, for publishers, and NAME.public")
    generate.add_argument("name", metavar="NAME", help="by custom a host name and a number: cache.example.org-1")
    generate.add_argument("--output", metavar="DIR", default=".", help="where the files go (default: here)")
    show = actions.add_parser("show", help="print the public key of a key file")
    show.add_argument("file", metavar="KEYFILE", help="a secret or a public key")
    for action in (generate, show):
        action.add_argument("--json", action="store_true", help="print one JSON document; errors too")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.adapters.key_files import generate_key, read_public_key

    if arguments.action == "generate":
        made = generate_key(arguments.name, Path(arguments.output).absolute())
        if arguments.json:
            print_json({"secret": made.secret, "public": made.public, "public_key": made.public_key.format()})
        else:
            print(made.public_key.format())
            talk(f"{made.secret} signs (keep it secret), {made.public} verifies")
    else:
        key = read_public_key(Path(arguments.file))
        if arguments.json:
            print_json({"public_key": key.format()})
        else:
            print(key.format())
    return 0


COMMAND = Command(
    name="key",
    summary="keys that sign what is published",
    description="Keys are Ed25519, in Nix's own format: Nix signs with them, and takes them for trusted-public-keys.",
    examples=("hf-pack key generate cache.example.org-1", "hf-pack key show cache.example.org-1.secret"),
    arguments=_arguments,
    run=_run,
)
