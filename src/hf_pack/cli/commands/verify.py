"""``hf-pack verify``."""

from __future__ import annotations

import argparse
import shlex

from hf_pack.cli.command import Command, completed, store_argument
from hf_pack.cli.output import count_words, print_json, talk, with_store


def _arguments(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("names", metavar="NAME|PATH", nargs="+", help="packages, store paths, or pname@version")
    )
    parser.add_argument("--repair", action="store_true", help="restore damaged objects from the source, or a cache")
    parser.add_argument(
        "--from",
        dest="caches",
        metavar="URL",
        action="append",
        help="a binary cache to repair from; may be repeated (default: caches in hf-pack.toml)",
    )
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import IntegrityError

    verified = api.verify(
        arguments.names,
        repair=arguments.repair,
        caches=arguments.caches or (),
        store=arguments.store,
        progress=TerminalProgress(),
    )
    ok = not verified.bad
    if arguments.json:
        print_json({"ok": ok, "checked": verified.checked, "bad": verified.bad, "repaired": verified.repaired})
        return 0 if ok else IntegrityError.exit_code
    for kind, problems in (("repaired", verified.repaired), ("bad", verified.bad)):
        for problem in problems:
            place = f"{problem.store_path}/{problem.path}" if problem.path else str(problem.store_path)
            print(f"{kind}: {place}: {problem.problem}")
    if ok:
        talk(f"{count_words(verified.checked, 'store object')} verified, all bytes are what they must be")
        return 0
    talk(f"error: {count_words(len(verified.bad), 'problem')} in {count_words(verified.checked, 'store object')}")
    again = with_store(f"hf-pack verify {shlex.join(arguments.names)} --repair", arguments.store)
    talk("hint: the lines above say where the bytes could come from" if arguments.repair else f"hint: {again}")
    return IntegrityError.exit_code


COMMAND = Command(
    name="verify",
    summary="re-hash packages against lock and store",
    description=(
        "Reads every byte of the packages' closures again, several objects at once, and names each file that is\n"
        "not what lock and store say. With --repair, damaged objects are restored from the source, else from a binary\n"
        "cache; with --from, no workspace is needed."
    ),
    examples=(
        "hf-pack verify my-model",
        "hf-pack verify /nix/store/…-my-model-1.0.0+0000000",
        "hf-pack verify my-model --repair",
        "hf-pack verify my-model@1.0.0+0000000 --repair --from https://cache.example.org",
    ),
    arguments=_arguments,
    run=_run,
)
