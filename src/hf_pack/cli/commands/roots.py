"""``hf-pack roots``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import print_json


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring

    found = wiring.open_store(arguments.store).roots()
    roots = sorted(found, key=lambda root: (root.store_path, root.owner or root.declared_at))
    if arguments.json:
        print_json(roots)
        return 0
    for root in roots:
        of = f"  (made at {root.elsewhere}: {root.declared_at})" if root.elsewhere else ""
        print(f"{root.store_path}  {root.owner or root.declared_at}{of}")
    return 0


COMMAND = Command(
    name="roots",
    summary="what keeps store objects from the garbage collector",
    description=(
        "One line a root: the store path, and the result link, lock or process that keeps it. A root that was made on\n"
        "another host, or when the store lay at another path, counts until a collection there finds its link gone, or\n"
        "a build here makes it anew; to let go of it, delete the directory that it says it lies in."
    ),
    examples=("hf-pack roots", "hf-pack roots --json"),
    arguments=store_argument,
    run=_run,
)
