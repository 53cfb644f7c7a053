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

    from hf_pack import api, wiring
    from hf_pack.errors import StoreError
    from hf_pack.steps.targets import resolve

    store = wiring.open_store(arguments.store)
    target = resolve(arguments.name, api.optional_workspace(Path(arguments.directory)), store)
    if store.path_info(target.store_path) is None:
        raise StoreError(
            f"{target.store_path} is not in the store {store.url}",
            hint=f"hf-pack build {arguments.name}" if target.package else "hf-pack list",
        )
    real_path = store.real_path(target.store_path)
    if arguments.json:
        print_json({"store_path": target.store_path, "real_path": real_path})
    else:
        print(real_path)
    return 0


COMMAND = Command(
    name="path",
    summary="where a built package lies on this machine",
    description="Prints the directory to give to a runtime; --json has the store path beside it.",
    examples=("hf-pack path my-model", "HF_HUB_CACHE=$(hf-pack path my-model)/share/models/hub"),
    arguments=_arguments,
    run=_run,
)
