"""``hf-pack diff``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, completed, store_argument
from hf_pack.cli.output import print_json, size_words, talk

if TYPE_CHECKING:
    from hf_pack.model.differences import Difference, FileChange, KeyChange

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument(
            "before", metavar="A", help="a package, store path, pname@version, NAME@GIT_REVISION or lock file"
        )
    )
    completed(parser.add_argument("after", metavar="B", help="likewise"))
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.cli.progress import TerminalProgress

    difference = api.diff(arguments.before, arguments.after, store=arguments.store, progress=TerminalProgress())
    if arguments.json:
        print_json(difference)
    else:
        _print(difference)
    return 0


def _print(difference: Difference) -> None:
    if difference.is_empty:
        talk("the same files on both sides")
    for file in difference.files:
        print(f"{_SIGNS[file.change]} {file.path}  {_sizes(file)}")
        for key in difference.keys:
            if key.path == file.path:
                print(f"    {_SIGNS[key.change]} {key.key}: {_values(key)}")
    for tensor in difference.tensors:
        words = " -> ".join(filter(None, (tensor.before, tensor.after)))
        sign = "~" if tensor.before and tensor.after else "-" if tensor.before else "+"
        aspect = "" if tensor.aspect == "presence" else f"{tensor.aspect} "
        print(f"{sign} tensor {tensor.name}: {aspect}{words}")
    for note in difference.notes:
        talk(f"note: {note}")


def _sizes(file: FileChange) -> str:
    sizes = [size_words(digest.size) for digest in (file.before, file.after) if digest]
    return " -> ".join(dict.fromkeys(sizes))


def _values(key: KeyChange) -> str:
    old, new = json.dumps(key.before, ensure_ascii=False), json.dumps(key.after, ensure_ascii=False)
    return {"added": new, "removed": old, "changed": f"{old} -> {new}"}[key.change]


COMMAND = Command(
    name="diff",
    summary="files, JSON keys and tensors that differ",
    description=(
        "Compares two packages, locks or revisions: files added, removed and changed, changed keys of JSON files,\n"
        "and tensors that were added, removed or changed in dtype, shape or content."
    ),
    examples=("hf-pack diff my-model my-model-patched", "hf-pack diff my-model@HEAD~1 my-model"),
    arguments=_arguments,
    run=_run,
)
