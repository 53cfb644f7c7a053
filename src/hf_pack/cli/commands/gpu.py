"""``hf-pack gpu``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json, size_words, table, talk
from hf_pack.errors import UsageError


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("name", nargs="?", metavar="GPU", help='what --gpu takes this name for: L4, "2x H100"')
    what.add_argument("--list", action="store_true", help="the catalogue: every GPU that --gpu knows by name")
    what.add_argument("--matrix", action="store_true", help="which quantization runs on which GPU with which runtime")
    parser.add_argument("--memory", metavar="SIZE", help="of the GPU that is named, as CUDA sees it, e.g. 24GiB")
    parser.add_argument("--runtime", choices=("vllm", "sglang"), help="of the matrix: one runtime alone")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.memory and arguments.name is None:
        raise UsageError("--memory is of a GPU that is named", hint=f"hf-pack gpu sm89 --memory {arguments.memory}")
    if arguments.matrix:
        _matrix(arguments)
    elif arguments.list:
        _list(arguments)
    elif arguments.name is not None:
        _named(arguments)
    else:
        _here(arguments)
    return 0


def _here(arguments: argparse.Namespace) -> None:
    from hf_pack.api import checking

    found = checking.local_gpus()
    if arguments.json:
        print_json(found)
        return
    table(
        [
            (
                str(gpu.index),
                gpu.name + (" (MIG slice)" if gpu.is_slice else ""),
                f"SM{gpu.sm}",
                "unknown" if gpu.memory is None else size_words(gpu.memory),
                "unknown" if gpu.free is None else f"{size_words(gpu.free)} free",
                gpu.uuid,
            )
            for gpu in found.gpus
        ]
    )
    if found.driver:
        talk(f"driver {found.driver}, runs CUDA up to {found.cuda}")
    if not found.gpus:
        talk(f"no GPU here: {found.note or 'CUDA_VISIBLE_DEVICES hides them'}")


def _named(arguments: argparse.Namespace) -> None:
    from hf_pack.api import checking
    from hf_pack.gpu.catalogue import parse_memory

    memory = parse_memory(arguments.memory) if arguments.memory else None
    found = checking.gpus_for([arguments.name], memory)
    if arguments.json:
        print_json(found)
        return
    table(
        [
            (
                gpu.name,
                f"SM{gpu.sm}",
                gpu.architecture or "",
                f"{size_words(gpu.memory)} {gpu.memory_source}",
                gpu.notes,
            )
            for gpu in found
        ]
    )


def _list(arguments: argparse.Namespace) -> None:
    from hf_pack.api import checking

    entries = checking.catalogue().entries
    if arguments.json:
        print_json(entries)
        return
    table(
        [
            (
                entry.gpu.name,
                f"SM{entry.gpu.sm}",
                entry.gpu.architecture or "",
                f"{entry.nominal_gb} GB",
                f"{size_words(entry.gpu.memory)} {entry.gpu.memory_source}",
                ", ".join(entry.aliases),
            )
            for entry in entries
        ]
    )


def _matrix(arguments: argparse.Namespace) -> None:
    from hf_pack.api import checking
    from hf_pack.gpu.matrix_table import answers, lines

    matrix = checking.matrix()
    runtimes = [arguments.runtime] if arguments.runtime else list(matrix.runtimes)
    if arguments.json:
        print_json([answer for runtime in runtimes for answer in answers(matrix, runtime)])
        return
    for number, runtime in enumerate(runtimes):
        if number:
            print()
        print(f"{runtime} {matrix.versions(runtime)}")
        table(lines(matrix, runtime))
    talk("N native, M Marlin, W weight-only, E emulated, - unsupported, ? unknown; sources: --json")


COMMAND = Command(
    name="gpu",
    summary="this machine's GPUs, the catalogue, the compatibility matrix",
    description=(
        "Lists the GPUs of this machine as CUDA would see them (MIG slices too), what a name means, the catalogue\n"
        "of GPUs that --gpu knows by name, or what each runtime does with each quantization on each compute capability."
    ),
    examples=(
        "hf-pack gpu",
        "hf-pack gpu L4",
        "hf-pack gpu sm89 --memory 24GiB",
        "hf-pack gpu --list",
        "hf-pack gpu --matrix --runtime vllm",
    ),
    arguments=_arguments,
    run=_run,
)
