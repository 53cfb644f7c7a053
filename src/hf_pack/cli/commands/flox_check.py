"""``hf-pack flox-check``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.flox import check_repository, flox_arguments
from hf_pack.cli.output import print_json, table


def _run(arguments: argparse.Namespace) -> int:
    checks = check_repository(arguments).checks
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
    arguments=flox_arguments,
    run=_run,
)
