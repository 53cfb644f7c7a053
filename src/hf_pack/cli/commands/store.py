"""``hf-pack store``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import count_words, print_json, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("repair",), help="what to do with it")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import IntegrityError

    rebuilt = wiring.rebuild_store(arguments.store, TerminalProgress())
    if arguments.json:
        print_json(rebuilt)
    else:
        for info in rebuilt.registered:
            print(info.store_path)
        for problem in rebuilt.unproved:
            talk(f"not valid any more: {problem.store_path}: {problem.problem}")
        talk(f"{count_words(len(rebuilt.registered), 'object')} proved and registered")
        if rebuilt.old_database is not None:
            talk(f"the old database is kept: {rebuilt.old_database}")
    return IntegrityError.exit_code if rebuilt.unproved else 0


COMMAND = Command(
    name="store",
    summary="repair a store whose database is damaged or lost",
    description=(
        "`store repair` makes the database of an embedded store anew from the objects that lie in it: each is hashed,\n"
        "and is valid again when its path follows from its content. What nothing proves stays on disk, is not valid,\n"
        "and gives exit code 5; `hf-pack build` makes it again. Roots and packages stay as they are."
    ),
    examples=("hf-pack store repair", "hf-pack store repair --store /srv/models"),
    arguments=_arguments,
    run=_run,
)
