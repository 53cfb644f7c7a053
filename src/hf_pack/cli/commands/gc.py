"""``hf-pack gc``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.stores import say_store


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring
    from hf_pack.errors import UsageError

    say_store(arguments.store)
    if not arguments.dry_run and wiring.store_note(arguments.store) is not None:
        raise UsageError(
            "this would collect the whole Nix store of this machine, and nobody named it",
            hint="hf-pack gc --dry-run, and then hf-pack gc --store daemon",
        )
    collection = api.collect_garbage(dry_run=arguments.dry_run, store=arguments.store)
    if arguments.json:
        print_json(collection)
        return 0
    for path in collection.deleted:
        print(path)
    verb = "would be deleted" if arguments.dry_run else "deleted"
    talk(
        f"{count_words(len(collection.deleted), 'store object')} {verb}, {size_words(collection.freed)}; "
        f"{collection.kept:,} kept"
    )
    return 0


COMMAND = Command(
    name="gc",
    summary="delete what no root keeps",
    description=(
        "Deletes every store object that no result link, lock, or running build reaches. Safe beside running\n"
        "builds and Nix itself."
    ),
    examples=("hf-pack gc --dry-run", "hf-pack gc"),
    arguments=_arguments,
    run=_run,
)
