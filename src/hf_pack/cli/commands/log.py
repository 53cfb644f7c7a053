"""``hf-pack log``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import count_words, plain, print_json, size_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hf_pack.model.history import Release

_SHOWN = 3  # names in a line; JSON has all


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.adapters.git_history import revisions
    from hf_pack.steps.workspace.history import files_of, history
    from hf_pack.steps.workspace.workspace_files import find_name

    workspace = wiring.open_workspace(Path())
    store = wiring.open_store(arguments.store)
    name = find_name(workspace, arguments.name)
    releases = history(name, workspace, revisions(workspace.root, files_of(name)))
    valid = store.valid_paths(release.store_path for release in releases if release.store_path is not None)
    if arguments.json:
        documents = [plain(release) for release in releases]
        print_json(
            [
                {**document, "in_store": release.store_path in valid}
                for release, document in zip(releases, documents, strict=True)
                if isinstance(document, dict)
            ]
        )
    else:
        for release in releases:
            print("\n".join(_lines(release, in_store=release.store_path in valid)))
    return 0


def _lines(release: Release, *, in_store: bool) -> Iterator[str]:
    revision = release.revision
    when = f"{revision.date[:10]} {revision.commit[:7]}" if revision is not None else "not committed"
    yield f"{release.version}  build {release.build_version}  {when}  {release.changelog}"
    where = "in the store" if in_store else "not in the store"
    tree = f", tree {size_words(release.nar_size)}" if release.nar_size is not None else ""
    yield f"  {release.store_path or 'never built'}  {where}; files {size_words(release.size)}{tree}"
    for words, names in (("added", release.added), ("removed", release.removed), ("changed", release.changed)):
        if names:
            yield f"  {words} {count_words(len(names), 'file')}: {_some(names)}"
    if release.settings:
        yield f"  settings: {_some(release.settings)}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")


COMMAND = Command(
    name="log",
    summary="the versions of a package, and what each changed",
    description=(
        "Shows every version and content that the package had, newest first, with store path and sizes: from what git\n"
        "has of its files, then from the files as they are now. To pin an earlier one, bring its files back:\n"
        "git checkout COMMIT -- models/NAME.toml models/NAME.lock models/NAME.files build-meta/NAME.json"
    ),
    examples=("hf-pack log my-model", "hf-pack log my-model --json"),
    arguments=_arguments,
    run=_run,
)
