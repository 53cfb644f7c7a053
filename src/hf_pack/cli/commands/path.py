"""``hf-pack path``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import print_json


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, help_text="a package, a store path, or pname@version")
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from hf_pack import wiring
    from hf_pack.steps.workspace.locate import locate

    store = wiring.open_store(arguments.store)
    store_path = locate(arguments.name, wiring.optional_workspace(Path()), store)
    real_path = store.real_path(store_path)
    if arguments.json:
        print_json({"store_path": store_path, "real_path": real_path})
    else:
        print(real_path)
    return 0


COMMAND = Command(
    name="path",
    summary="where a built package lies on this machine",
    description="Prints where the last build lies, for a runtime; --json has the store path beside it.",
    examples=("hf-pack path my-model", "HF_HUB_CACHE=$(hf-pack path my-model)/share/models/hub"),
    arguments=_arguments,
    run=_run,
)
