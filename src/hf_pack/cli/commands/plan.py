"""``hf-pack plan``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk

if TYPE_CHECKING:
    from hf_pack.steps.building.plan_report import PlanReport
    from hf_pack.steps.workspace.packages import Package


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring
    from hf_pack.steps.building.plan_report import report

    package = api.plan(arguments.name)
    for line in package.warnings:
        talk(f"warning: {line}")
    found = report(package, wiring.open_store(arguments.store))
    if arguments.json:
        print_json(found)
    else:
        _print(package, found)
    return 0


def _print(package: Package, report: PlanReport) -> None:
    from hf_pack.cli.tree import tree_lines

    plan = package.plan
    print(report.store_path or f"{plan.name} (self-contained: its store path is known after the first build)")
    for line in tree_lines(plan):
        print(line)
    print(
        f"{count_words(len(plan.entries), 'entry', 'entries')}, NAR {size_words(plan.nar_size)}; "
        f"closure {size_words(plan.closure_size)} in {count_words(len(plan.references) + 1, 'store object')}"
    )
    print_totals(package, report)


def print_totals(package: Package, report: PlanReport) -> None:
    """What is here, what must come and from where, and the disk it takes."""
    here = sum(blob.present for blob in report.blobs)
    source = package.lock.source
    print(
        f"weights: {count_words(len(report.blobs), 'blob')}, {here} here already; "
        f"to fetch {size_words(report.fetch_size)}; a build needs {size_words(report.disk_needed)} of disk"
    )
    print(
        f"source: {source.repo_id} at {source.snapshot_id[:12]}, licence {report.licence or 'not stated'}"
        + (f", gated ({report.gated})" if report.gated else "")
    )


COMMAND = Command(
    name="plan",
    summary="the tree, its size and its store path; nothing is fetched",
    description=(
        "Computes the package from manifest, lock and build metadata alone: every file and link, NAR and closure\n"
        "size, the disk a build needs, and the store path. A checkout of the workspace is enough."
    ),
    examples=("hf-pack plan my-model", "hf-pack plan my-model --json"),
    arguments=_arguments,
    run=_run,
)
