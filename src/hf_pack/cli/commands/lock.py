"""``hf-pack lock``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk, with_store
from hf_pack.cli.stores import say_store


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, many=True)
    parser.add_argument("--check", action="store_true", help="only say whether and why locks are stale (exit 3)")
    parser.add_argument("--upgrade", action="store_true", help="bring locks to this version's layout")
    parser.add_argument("--offline", action="store_true", help="with --check: do not ask the Hub what moved")
    parser.add_argument("--no-headers", action="store_true", help="do not read the headers of weight files")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.cli.names import chosen

    names = chosen(arguments)
    return _check(names, arguments) if arguments.check else _lock(names, arguments)


def _check(names: list[str], arguments: argparse.Namespace) -> int:
    """One package that cannot be checked hides no other. Exit code 3 when a lock is stale, else that of a failure."""
    from hf_pack import api, wiring
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import Error, LockError

    asks = not arguments.offline
    if asks and wiring.hub_is_offline():
        talk("note: HF_HUB_OFFLINE is set: as with --offline, the Hub is not asked what moved")
        asks = False
    progress = TerminalProgress()
    found, codes = [], set()
    for name in names:
        failure: Error | None = None
        try:
            reasons = api.stale(name, upstream=asks, store=arguments.store, progress=progress)
        except Error as error:
            failure, reasons = error, (error.message,)
        unknown = failure is not None and not isinstance(failure, LockError)
        state = "unknown" if unknown else "stale" if reasons else "fresh"
        codes |= {failure.exit_code} if failure is not None else {LockError.exit_code} if reasons else set()
        found.append({"name": name, "stale": None if unknown else bool(reasons), "reasons": reasons})
        if not arguments.json:
            print(f"{name}: {state}")
            for reason in reasons:
                print(f"  {reason}")
            if failure is not None and failure.hint:
                talk(f"hint: {with_store(failure.hint, arguments.store)}")
    if arguments.json:
        print_json(found)
    return LockError.exit_code if LockError.exit_code in codes else max(codes, default=0)


def _lock(names: list[str], arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.cli.progress import TerminalProgress

    say_store(arguments.store)
    documents = []
    for name in names:
        if arguments.upgrade and not api.outdated(name) and not api.stale(name):
            talk(f"{name}: is of this layout version already")
            continue
        locked = api.lock(
            name,
            store=arguments.store,
            headers=not arguments.no_headers,
            upgrade=arguments.upgrade,
            progress=TerminalProgress(),
        )
        documents.append(
            {
                "name": name,
                "snapshot_id": locked.lock.source.snapshot_id,
                "files": len(locked.lock.files),
                "size": locked.lock.size,
                "notes": locked.notes,
                "findings": locked.lock.findings,
                "code_changes": locked.code_changes,
                "bytes_read": locked.bytes_read,
                "bytes_written": locked.bytes_written,
            }
        )
        if not arguments.json:
            talk(f"{name}: locked {count_words(len(locked.lock.files), 'file')}, {size_words(locked.lock.size)}")
            now, before = locked.lock.source.snapshot_id, locked.previous_snapshot_id
            if before not in (None, now):
                talk(f"  {before} -> {now}; hf-pack diff {name}@HEAD {name} shows what changed, in git")
            for finding in locked.lock.findings:
                talk(f"  allowed: {finding}")
            for change in locked.code_changes:
                talk(f"  {change}")
            for note in locked.notes:
                talk(f"  note: {note}")
    if arguments.json:
        print_json(documents)
    return 0


COMMAND = Command(
    name="lock",
    summary="resolve the source again; --check says why a lock is stale",
    description=(
        "Reads the manifest's source again and writes the exact files, sizes and sha256 into models/NAME.lock,\n"
        "with the small and patched files beside it. A patch that no longer matches is an error."
    ),
    examples=("hf-pack lock", "hf-pack lock my-model", "hf-pack lock --check"),
    arguments=_arguments,
    run=_run,
)
