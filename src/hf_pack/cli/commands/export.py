"""``hf-pack export``."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.archives import archive_arguments, to_archive
from hf_pack.cli.command import Command, name_argument, redistribution_argument, store_argument
from hf_pack.cli.kubernetes import kubernetes_arguments, to_kubernetes
from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.registries import say_published, shape_arguments

if TYPE_CHECKING:
    from hf_pack.ports import Workspace
    from hf_pack.steps.workspace.packages import Package


FORMATS = ("nix", "flox", "dir", "tar", "oci-layout", "k8s")


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(
        parser,
        many=True,
        help_text="packages of this workspace, none means all; for dir, tar and oci-layout also store paths, "
        "pname@version",
    )
    parser.add_argument("--to", choices=FORMATS, required=True, help="what is written")
    parser.add_argument(
        "--output",
        metavar="PLACE",
        help="where (default: for nix the workspace's nix/, for flox the workspace, for dir ./NAME, for tar "
        "./packages.tar, - is stdout; for oci-layout ./oci-layout)",
    )
    parser.add_argument(
        "--hard-links",
        action="store_true",
        help="with --to dir: the store's own files, no disk; who writes there changes the store",
    )
    archive_arguments(parser.add_argument_group("with --to tar"))
    shape_arguments(parser.add_argument_group("with --to oci-layout"))
    kubernetes_arguments(parser.add_argument_group("with --to k8s"))
    redistribution_argument(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.cli.names import chosen
    from hf_pack.steps.workspace.packages import load

    if arguments.to == "dir":
        return _to_directories(arguments)
    if arguments.to == "tar":
        return to_archive(arguments)
    if arguments.to == "k8s":
        return to_kubernetes(arguments)
    if arguments.to == "oci-layout":
        return _to_layout(arguments)
    workspace = wiring.open_workspace(Path())
    packages = [load(workspace, name) for name in chosen(arguments)]
    write = _to_nix if arguments.to == "nix" else _to_flox
    directory, written = write(packages, workspace, arguments.output)
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
    from hf_pack.steps.exporting.export import to_nix

    files = to_nix(packages, wiring.read_settings(workspace))
    directory = workspace.root / "nix" if output is None else Path(output).absolute()
    written = write_files(directory, files)
    flake = (workspace.root if output is None else directory) / "flake.nix"
    if is_foreign(flake):
        talk(f"note: {flake} is your own and stays; in its outputs, packages.<system> = import ./nix")
    else:
        written += write_files(flake.parent, {flake.name: flake_nix("./nix" if output is None else "./.")})
    return directory, written


def _to_flox(packages: list[Package], workspace: Workspace, output: str | None) -> tuple[Path, tuple[Path, ...]]:
    """The workspace, or another directory, as a repository that flox builds from."""
    from hf_pack import wiring
    from hf_pack.adapters.export_directory import add_lines, write_files, write_missing
    from hf_pack.expressions.flox_export import IGNORED, environment_files
    from hf_pack.steps.exporting.export import to_flox

    directory = workspace.root if output is None else Path(output).absolute()
    written = write_files(directory, to_flox(packages, wiring.read_settings(workspace)))
    written += write_missing(directory, environment_files(directory.name))
    add_lines(directory / ".gitignore", IGNORED)
    first = packages[0].name
    commands = f"git add -A . && flox activate -- true && flox build {first}"
    talk(f"next, in {directory}: {commands}; then hf-pack flox-check {first}")
    return directory, written


def _to_directories(arguments: argparse.Namespace) -> int:
    """Built packages as directories; several go below ``--output``, one is made ``--output`` itself."""
    from hf_pack import wiring
    from hf_pack.adapters.plain_directory import require_free, write_directory
    from hf_pack.cli.names import chosen
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.steps.building.sound import require_sound
    from hf_pack.steps.building.verify import Recent
    from hf_pack.steps.stored.closure import closure
    from hf_pack.steps.workspace.locate import locate

    workspace, store = wiring.optional_workspace(Path()), wiring.open_store(arguments.store)
    names = arguments.names or chosen(arguments)
    found = [(_directory_name(name), locate(name, workspace, store)) for name in names]
    documents, progress = [], TerminalProgress()
    for name, store_path in found:
        target = Path(name) if arguments.output is None else Path(arguments.output)
        if arguments.output is not None and len(found) > 1:
            target /= name
        require_free(target)
        require_sound(
            [store_path],
            store,
            os.cpu_count() or 1,
            progress,
            Recent(now=int(time.time()), since=0),
            problem=f"{store_path.name} is damaged; it was not written",
            hint=f"hf-pack verify {store_path} --repair",
        )
        progress.start("write", sum(info.nar_size for info in closure(store_path, store)))
        try:
            written = write_directory(
                store.real_path(store_path),
                target.absolute(),
                hard_links=arguments.hard_links,
                advance=progress.advance,
            )
        finally:
            progress.finish()
        documents.append(
            {
                "directory": target.absolute(),
                "store_path": store_path,
                "files": written.files,
                "bytes_shared": written.shared,
                "bytes_copied": written.copied,
            }
        )
        if not arguments.json:
            print(target.absolute())
            talk(
                f"{store_path.name}: {count_words(written.files, 'file')}, "
                f"{size_words(written.shared)} shared with the store, {size_words(written.copied)} copied"
            )
    if arguments.json:
        print_json(documents)
    return 0


def _to_layout(arguments: argparse.Namespace) -> int:
    """Built packages in one OCI layout, which holds what they share once."""
    from hf_pack.api import registries
    from hf_pack.cli.names import chosen
    from hf_pack.cli.progress import TerminalProgress

    directory = Path(arguments.output or "oci-layout")
    published = [
        registries.export(
            name,
            directory,
            shape=arguments.shape,
            redistribute=arguments.redistribute,
            store=arguments.store,
            progress=TerminalProgress(),
        )
        for name in arguments.names or chosen(arguments)
    ]
    if arguments.json:
        print_json(published)
        return 0
    for one in published:
        say_published(one, arguments.shape)
    return 0


def _directory_name(text: str) -> str:
    """What a package's directory is called: the name as given, or the store path's base name."""
    return text.rstrip("/").rpartition("/")[2]


COMMAND = Command(
    name="export",
    summary="packages as files for other tools",
    description=(
        "--to nix writes nix/default.nix, an attribute set of derivations by package name, with the data that it\n"
        "reads, and flake.nix beside nix/. They evaluate purely and without nixpkgs, to the store paths of hf-pack.\n"
        "--to flox makes the workspace a repository for `flox build` and `flox publish`: .flox/pkgs/NAME.nix, and\n"
        "the environment's files where they are missing.\n"
        "--to dir writes built packages as plain directories, with no link out of them; bytes that were never proved,\n"
        "or have changed since, are proved first.\n"
        "--to tar writes built packages with all that they refer to into one file: `hf-pack pull --from FILE` takes\n"
        "them out on a machine without a network; unpacked it is a binary cache for stock Nix.\n"
        "--to oci-layout writes built packages into a directory that container tools read (skopeo, umoci, podman), as\n"
        "they would be in a registry: `skopeo copy --all --preserve-digests oci:DIR:TAG docker://…` sends it on."
    ),
    examples=(
        "hf-pack export my-model --to k8s --runtime vllm --image registry.example.org/models/my-model:1.0.0",
        "hf-pack export --to nix",
        "hf-pack export my-model --to nix --output ../infrastructure/models",
        "hf-pack export my-model --to flox",
        "hf-pack export my-model --to dir --output /srv/my-model",
        "hf-pack export --to tar --output /media/usb/models.tar",
        "hf-pack export my-model --to oci-layout --output /media/usb/models",
    ),
    arguments=_arguments,
    run=_run,
)
