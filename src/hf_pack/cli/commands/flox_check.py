"""``hf-pack flox-check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import print_json, table


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    parser.add_argument("--output", metavar="DIR", help="the repository that was exported (default: the workspace)")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    import os

    from hf_pack import wiring
    from hf_pack.adapters.flox_repository import read_repository
    from hf_pack.errors import UsageError
    from hf_pack.steps.export import to_flox
    from hf_pack.steps.flox_check import flox_checks
    from hf_pack.steps.packages import load
    from hf_pack.steps.workspace_files import find_name

    workspace = wiring.open_workspace(Path())
    package = load(workspace, find_name(workspace, arguments.name))
    directory = workspace.root if arguments.output is None else Path(arguments.output)
    try:
        files = to_flox([package], wiring.read_settings(workspace))
        exported = {
            path: (directory / path).is_file() and (directory / path).read_bytes() == contents
            for path, contents in files.items()
        }
    except OSError as error:
        raise UsageError(f"the repository cannot be read\n  {error.filename}: {error.strerror}") from None
    checks = flox_checks(
        package,
        read_repository(directory),
        exported,
        wiring.open_store(arguments.store),
        may_publish=bool(os.environ.get("FLOX_FLOXHUB_TOKEN")),
    )
    ok = all(check.ok is not False for check in checks)
    if arguments.json:
        print_json({"ok": ok, "checks": checks})
    else:
        words = {True: "ok", False: "fails", None: "unknown"}
        table(
            [(words[check.ok], check.name, check.found + (f"; {check.mend}" if check.mend else "")) for check in checks]
        )
    return 0 if ok else 2


COMMAND = Command(
    name="flox-check",
    summary="what `flox publish` would refuse, before it does",
    description=(
        "Goes through the checks of `flox publish` for one exported package, without flox and without changing\n"
        "anything: environment, lockfile, git, names, version, and the size of each store object against the\n"
        "catalogue's limit. Each failure says what mends it; exit code 2 when there is one."
    ),
    examples=("hf-pack flox-check my-model", "hf-pack flox-check my-model --output ../models-repository --json"),
    arguments=_arguments,
    run=_run,
)
