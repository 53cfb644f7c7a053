"""What the commands about a flox repository share: the package, where it was exported to, and the checks of it."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.command import name_argument, store_argument

if TYPE_CHECKING:
    from hf_pack.ports import Store
    from hf_pack.steps.exporting.flox_check import Check
    from hf_pack.steps.workspace.packages import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A package and what ``flox publish`` would find in its repository."""

    package: Package
    directory: Path
    store: Store
    checks: tuple[Check, ...]


def flox_arguments(parser: argparse.ArgumentParser) -> None:
    """``NAME``, ``--output`` and ``--store``."""
    name_argument(parser)
    parser.add_argument("--output", metavar="DIR", help="the repository that was exported (default: the workspace)")
    store_argument(parser)


def check_repository(arguments: argparse.Namespace) -> Checked:
    """Go through the checks. Raises UsageError when the repository cannot be read, LockError, StoreError."""
    from hf_pack import wiring
    from hf_pack.adapters.flox_repository import read_repository
    from hf_pack.errors import UsageError
    from hf_pack.steps.exporting.export import to_flox
    from hf_pack.steps.exporting.flox_check import flox_checks
    from hf_pack.steps.workspace.packages import load
    from hf_pack.steps.workspace.workspace_files import find_name

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
    store = wiring.open_store(arguments.store)
    may_publish = bool(os.environ.get("FLOX_FLOXHUB_TOKEN"))
    checks = flox_checks(package, read_repository(directory), exported, store, may_publish=may_publish)
    return Checked(package=package, directory=directory, store=store, checks=checks)
