"""``hf-pack plan``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import count_words, print_json, size_words

if TYPE_CHECKING:
    from hf_pack.model.plan import Entry, Plan
    from hf_pack.ports import Store
    from hf_pack.steps.packages import Package


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring

    package = api.plan(arguments.name)
    store = wiring.open_store(arguments.store)
    document = plan_document(package, store)
    if arguments.json:
        print_json(document)
    else:
        _print(package, document)
    return 0


def plan_document(package: Package, store: Store) -> dict[str, object]:
    """The contract's JSON for a plan; sizes are bytes."""
    from hf_pack.steps.targets import known_store_path

    plan = package.plan
    present = store.valid_paths(blob.store_path for blob in plan.blobs)
    store_path = known_store_path(package)
    missing = sum(blob.size for blob in plan.blobs if blob.store_path not in present)
    there = store_path is not None and store.path_info(store_path) is not None
    return {
        "name": plan.name,
        "store_path": store_path,
        "storage": plan.storage,
        "nar_size": plan.nar_size,
        "closure_size": plan.closure_size,
        "fetch_size": missing,
        "licence": package.lock.licence,
        "gated": package.lock.source.gated,
        "disk_needed": missing + (0 if there else tree_bytes(plan)),
        "plan_digest": plan.digest(),
        "entries": [_entry(entry) for entry in plan.entries],
        "blobs": [
            {
                "store_path": blob.store_path,
                "sha256": blob.sha256.hex(),
                "size": blob.size,
                "present": blob.store_path in present,
            }
            for blob in plan.blobs
        ],
    }


def tree_bytes(plan: Plan) -> int:
    """Bytes that the tree itself holds: its files, not its blobs (a self-contained tree hard-links those)."""
    from hf_pack.model.plan import RegularFile

    return sum(
        entry.size for entry in plan.entries if isinstance(entry, RegularFile) and isinstance(entry.contents, bytes)
    )


def _entry(entry: Entry) -> dict[str, object]:
    from hf_pack.model.plan import RegularFile

    if isinstance(entry, RegularFile):
        return {"path": entry.path, "kind": "file", "size": entry.size, "target": None}
    size = entry.blob.size if entry.blob else None
    return {"path": entry.path, "kind": "symlink", "size": size, "target": entry.target}


def _print(package: Package, document: dict[str, object]) -> None:
    from hf_pack.cli.tree import tree_lines

    plan = package.plan
    print(document["store_path"] or f"{plan.name} (self-contained: its store path is known after the first build)")
    for line in tree_lines(plan):
        print(line)
    print(
        f"{count_words(len(plan.entries), 'entry', 'entries')}, NAR {size_words(plan.nar_size)}; "
        f"closure {size_words(plan.closure_size)} in {count_words(len(plan.references) + 1, 'store object')}"
    )
    print_totals(package, document)


def print_totals(package: Package, document: dict[str, object]) -> None:
    """What is here, what must come and from where, and the disk it takes."""
    blobs = package.plan.blobs
    lacking = [blob for blob in document["blobs"] if not blob["present"]]  # type: ignore[attr-defined]
    source = package.lock.source
    print(
        f"weights: {count_words(len(blobs), 'blob')}, {len(blobs) - len(lacking)} here already; "
        f"to fetch {size_words(sum(blob['size'] for blob in lacking))}; "
        f"a build needs {size_words(int(str(document['disk_needed'])))} of disk"
    )
    print(
        f"source: {source.repo_id} at {source.snapshot_id[:12]}, licence {package.lock.licence or 'not stated'}"
        + (f", gated ({package.lock.source.gated})" if package.lock.source.gated else "")
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
