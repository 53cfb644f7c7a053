"""``hf-pack verify``."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, completed, store_argument
from hf_pack.cli.output import count_words, print_json, talk, with_store
from hf_pack.cli.trust import trust_arguments

if TYPE_CHECKING:
    from hf_pack.model.findings import Problem


def _arguments(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("names", metavar="NAME|PATH", nargs="*", help="packages, store paths, or pname@version")
    )
    parser.add_argument("--all", action="store_true", help="every object of the store")
    skipping = parser.add_mutually_exclusive_group()
    skipping.add_argument("--quick", action="store_true", help="read only what was never proved, or changed since")
    skipping.add_argument(
        "--older-than",
        metavar="AGE",
        type=_age,
        help="read only what was not proved within AGE (90s, 30m, 12h, 7d, 2w), the oldest proof first",
    )
    parser.add_argument("--repair", action="store_true", help="restore damaged objects from the source, or a cache")
    parser.add_argument(
        "--from",
        dest="caches",
        metavar="URL",
        action="append",
        help="a binary cache to repair from; may be repeated (default: caches in hf-pack.toml)",
    )
    parser.add_argument(
        "--signature",
        metavar="BUNDLE",
        help="hold the package against a model signature, too (OpenSSF Model Signing, or `hf-pack sign --provenance`)",
    )
    trust_arguments(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.api import proofs
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import IntegrityError, UsageError

    if arguments.signature is not None and len(arguments.names) != 1:
        raise UsageError("a signature is of one package", hint="hf-pack verify NAME --signature BUNDLE")
    if arguments.all == bool(arguments.names):
        raise UsageError("name what to verify, or --all", hint="hf-pack verify NAME, or hf-pack verify --all")
    signed = None
    if arguments.signature is not None:
        signed = proofs.read_signature(arguments.signature, arguments.trusted_keys or ())
    verified = api.verify(
        arguments.names,
        everything=arguments.all,
        quick=arguments.quick,
        older_than=arguments.older_than,
        repair=arguments.repair,
        caches=arguments.caches or (),
        store=arguments.store,
        progress=TerminalProgress(),
    )
    unsigned: tuple[Problem, ...] = ()
    if signed is not None and not verified.bad:
        unsigned = proofs.differences(arguments.names[0], signed, store=arguments.store, progress=TerminalProgress())
    bad = verified.bad + unsigned
    ok = not bad
    if arguments.json:
        print_json(
            {
                "ok": ok,
                "checked": verified.checked,
                "read": verified.checked - verified.skipped,
                "skipped": verified.skipped,
                "oldest_proof": verified.oldest_proof,
                "bad": bad,
                "repaired": verified.repaired,
            }
        )
        return 0 if ok else IntegrityError.exit_code
    for kind, problems in (("repaired", verified.repaired), ("bad", bad)):
        for problem in problems:
            print(f"{kind}: {problem.place}: {problem.problem}")
    if ok:
        if verified.skipped:
            read = verified.checked - verified.skipped
            talk(f"{count_words(read, 'store object')} read, {verified.skipped:,} unchanged since the last full proof")
            talk(f"all bytes are what they must be; the oldest full proof is {_words(verified.oldest_proof or 0)} old")
        else:
            talk(f"{count_words(verified.checked, 'store object')} verified, all bytes are what they must be")
        if signed is not None:
            talk(f"{arguments.signature} is a good signature of it, by somebody trusted")
        return 0
    talk(f"error: {count_words(len(bad), 'problem')} in {count_words(verified.checked, 'store object')}")
    if unsigned:
        talk("hint: all bytes are those of lock and store; it is another model than the one that was signed")
        return IntegrityError.exit_code
    again = with_store(f"hf-pack verify {shlex.join(arguments.names) or '--all'} --repair", arguments.store)
    if arguments.repair:
        again += " --from URL, of a cache that has it; or in the workspace of a package that holds it"
    talk(f"hint: {again}")
    return IntegrityError.exit_code


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _age(text: str) -> int:
    """Seconds of ``7d``."""
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and unit in _UNITS):
        raise argparse.ArgumentTypeError(f"expected a number and one of {' '.join(_UNITS)}, as in 7d; found {text!r}")
    return int(number) * _UNITS[unit]


def _words(seconds: int) -> str:
    """The largest whole unit: ``3 days``."""
    for noun, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return count_words(seconds // size, noun)
    return count_words(seconds, "second")


COMMAND = Command(
    name="verify",
    summary="re-hash packages against lock and store",
    description=(
        "Reads every byte of the packages' closures again, several objects at once, and names each file that is\n"
        "not what lock and store say. With --repair, damaged objects are restored from where build finds bytes (the\n"
        "source, this machine, the Hub) by the workspace's packages, in store paths and with --all too, else from a\n"
        "binary cache; with --from, no workspace is needed.\n"
        "\n"
        "What was read and found right is remembered, with the identity of its files: device, inode, size and times,\n"
        "or the fs-verity digest. With --quick, what was proved once and has not changed since is not read; with\n"
        "--older-than, what was proved within that time. A run that is cut short has done what it read: the next one\n"
        "with --older-than goes on behind it. Without these, everything is read. A disk that changes bytes by itself\n"
        "changes no identity: only reading finds that.\n"
        "\n"
        "With --signature, the package is also held against what somebody trusted signed: exit code 8 when nobody\n"
        "trusted made the signature, 5 when the files are others."
    ),
    examples=(
        "hf-pack verify my-model",
        "hf-pack verify /nix/store/…-my-model-1.0.0+0000000",
        "hf-pack verify my-model --repair",
        "hf-pack verify --all --older-than 7d --json",
        "hf-pack verify my-model@1.0.0+0000000 --repair --from https://cache.example.org",
        "hf-pack verify my-model --signature my-model.sig --trusted-key publisher.pub",
    ),
    arguments=_arguments,
    run=_run,
)
