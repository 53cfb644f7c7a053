"""``hf-pack list``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import print_json, size_words, table, talk

if TYPE_CHECKING:
    from hf_pack.steps.workspace.inventory import Listed


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from hf_pack import wiring
    from hf_pack.steps.workspace.inventory import inventory

    workspace = wiring.optional_workspace(Path())
    rows = inventory(workspace, wiring.open_store(arguments.store))
    if arguments.json:
        print_json(rows)
        return 0
    if not rows:
        talk("no packages here; hf-pack add ORG/NAME makes one")
    table(
        [
            (
                row.name or "(store)",
                (row.problem[:60] or row.pname_and_version),
                row.layout,
                row.storage,
                _state(row),
                size_words(row.nar_size) if row.nar_size is not None else "",
                str(row.store_path or ""),
            )
            for row in rows
        ],
        right=frozenset({5}),
    )
    return 0


def _state(row: Listed) -> str:
    if row.in_store:
        return "older build" if row.is_stale else "built"
    return "locked" if row.locked else "not locked"


COMMAND = Command(
    name="list",
    summary="packages of this workspace and of the store",
    description="Name, version, layout, storage, state, NAR size and store path of every package.",
    examples=("hf-pack list", "hf-pack list --json"),
    arguments=store_argument,
    run=_run,
)
