"""``hf-pack publish``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.flox import check_repository, flox_arguments
from hf_pack.cli.output import print_json

FLOX = "flox"


def _arguments(parser: argparse.ArgumentParser) -> None:
    flox_arguments(parser)
    parser.add_argument("--to", metavar="URL", required=True, help="where to: flox, the catalogue")
    parser.add_argument("--org", metavar="ORG", help="the organisation whose catalogue it is (default: your own)")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.adapters.flox_command import find_flox
    from hf_pack.errors import UsageError
    from hf_pack.steps.flox_check import require_publishable

    if arguments.to != FLOX:
        raise UsageError(
            f"nothing can be published to {arguments.to!r}\n  --to: expected {FLOX}, found {arguments.to!r}",
            hint=f"hf-pack publish {arguments.name} --to {FLOX}; `nix copy` fills binary caches",
        )
    flox = find_flox()
    checked = check_repository(arguments)
    package = checked.package
    require_publishable(package, checked.checks, checked.store)
    flox.publish(checked.directory, package.name, arguments.org)
    if arguments.json:
        print_json({"name": package.name, "to": FLOX, "version": package.version, "directory": checked.directory})
    else:
        print(f"{package.manifest.pname}@{package.version}")
    return 0


COMMAND = Command(
    name="publish",
    summary="a package to where others get it",
    description=(
        "--to flox goes through the checks of `hf-pack flox-check` and calls `flox publish` in the exported\n"
        "repository. A version that already names another content is refused (exit code 8)."
    ),
    examples=(
        "hf-pack publish my-model --to flox",
        "hf-pack publish my-model --to flox --org my-team --output ../models-repository",
    ),
    arguments=_arguments,
    run=_run,
)
