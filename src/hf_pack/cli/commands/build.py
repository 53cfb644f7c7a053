"""``hf-pack build``."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import print_json, size_words, talk
from hf_pack.cli.stores import say_store

if TYPE_CHECKING:
    from hf_pack.ports import Store
    from hf_pack.steps.workspace.packages import Package


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, many=True)
    parser.add_argument("--offline", action="store_true", help="use what is on this machine; say what is missing")
    parser.add_argument(
        "--limit-rate",
        metavar="RATE",
        type=rate,
        help="bytes a second from the Hub and mirrors at most: 500K, 20M, 1G",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be fetched, and what is here")
    store_argument(parser)


def rate(text: str) -> int:
    """Bytes a second; K, M and G are powers of 1024. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,15})([KMG]?)", text, re.IGNORECASE)
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"expected a number of bytes such as 500K or 20M, found {text!r}")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()]


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring
    from hf_pack.cli.names import chosen
    from hf_pack.cli.progress import TerminalProgress

    say_store(arguments.store)
    store = wiring.open_store(arguments.store)
    if arguments.dry_run:
        return _dry_run(arguments, store)
    documents = []
    for name in chosen(arguments):
        built = api.build(
            name,
            store=arguments.store,
            offline=arguments.offline,
            limit_rate=arguments.limit_rate,
            progress=TerminalProgress(),
        )
        info = built.info
        warnings = _shortcomings(built.package, store)
        for warning in warnings:
            talk(f"warning: {warning}")
        documents.append(
            {
                "name": built.package.name,
                "store_path": info.store_path,
                "real_path": store.real_path(info.store_path),
                "nar_hash": info.nar_hash,
                "nar_size": info.nar_size,
                "references": info.references,
                "bytes_read": built.bytes_read,
                "bytes_written": built.bytes_written,
                "seconds": round(built.seconds, 3),
                "warnings": warnings,
            }
        )
        if not arguments.json:
            print(info.store_path, flush=True)
            talk(
                f"{name}: read {size_words(built.bytes_read)}, wrote {size_words(built.bytes_written)} "
                f"in {built.seconds:.1f} s; result-{name} -> {store.real_path(info.store_path)}"
            )
    if arguments.json:
        print_json(documents)
    return 0


def _shortcomings(package: Package, store: Store) -> tuple[str, ...]:
    if not package.manifest.targets:
        return ()
    from hf_pack.api import checking  # most packages state no targets, and this loads all that is known of GPUs

    return checking.shortcomings(package, store)


def _dry_run(arguments: argparse.Namespace, store: Store) -> int:
    from hf_pack import api
    from hf_pack.cli.commands.plan import print_totals
    from hf_pack.cli.names import chosen
    from hf_pack.steps.building.plan_report import report

    reports = []
    for name in chosen(arguments):
        package = api.plan(name)
        found = report(package, store)
        reports.append(found)
        if not arguments.json:
            print(found.store_path or package.plan.name)
            print_totals(package, found)
    if arguments.json:
        print_json(reports)
    return 0


COMMAND = Command(
    name="build",
    summary="make packages; prints one store path a line",
    description=(
        "Makes each package valid in the store, links result-NAME to it (a GC root) and writes models/NAME.record.\n"
        "What the store has already is neither read nor written."
    ),
    examples=("hf-pack build", "hf-pack build my-model --store /data/store", "hf-pack build --json"),
    arguments=_arguments,
    run=_run,
)
