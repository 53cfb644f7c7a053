"""``hf-pack export``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument
from hf_pack.cli.output import print_json, talk

if TYPE_CHECKING:
    from hf_pack.ports import Workspace
    from hf_pack.steps.packages import Package


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, many=True)
    parser.add_argument("--to", choices=("nix",), required=True, help="what is written")
    parser.add_argument("--output", metavar="DIR", help="where (default: nix/ of the workspace)")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.cli.names import chosen
    from hf_pack.steps.packages import load

    workspace = wiring.open_workspace(Path())
    packages = [load(workspace, name) for name in chosen(arguments)]
    directory, written = _to_nix(packages, workspace, arguments.output)
    if arguments.json:
        print_json({"directory": directory, "packages": [package.name for package in packages], "written": written})
    else:
        print(directory)
    return 0


def _to_nix(packages: list[Package], workspace: Workspace, output: str | None) -> tuple[Path, tuple[Path, ...]]:
    """Expressions in ``nix/`` with a flake above them, or all in one directory of the user's choice."""
    from hf_pack import wiring
    from hf_pack.adapters.export_directory import is_foreign, write_files
    from hf_pack.expressions.nix_texts import flake_nix
    from hf_pack.steps.export import to_nix

    files = to_nix(packages, wiring.read_settings(workspace))
    directory = workspace.root / "nix" if output is None else Path(output).absolute()
    written = write_files(directory, files)
    flake = (workspace.root if output is None else directory) / "flake.nix"
    if is_foreign(flake):
        talk(f"note: {flake} is your own and stays; in its outputs, packages.<system> = import ./nix")
    else:
        written += write_files(flake.parent, {flake.name: flake_nix("./nix" if output is None else "./.")})
    return directory, written


COMMAND = Command(
    name="export",
    summary="packages as files for other tools",
    description=(
        "--to nix writes nix/default.nix, an attribute set of derivations by package name, with the data that it\n"
        "reads, and flake.nix beside nix/. They evaluate purely and without nixpkgs, to the store paths of hf-pack."
    ),
    examples=(
        "hf-pack export --to nix",
        "hf-pack export my-model --to nix --output ../infrastructure/models",
    ),
    arguments=_arguments,
    run=_run,
)
