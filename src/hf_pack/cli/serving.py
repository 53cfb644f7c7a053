"""What the commands have in common that start a runtime or say how."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.command import completed, store_argument
from hf_pack.cli.output import talk

if TYPE_CHECKING:
    from hf_pack.model.launch import Launch
    from hf_pack.ports import Machine, Store, Workspace
    from hf_pack.steps.serving.serve import Asked, Prepared

RUNTIMES = ("vllm", "sglang", "triton")


def packages_argument(parser: argparse.ArgumentParser) -> None:
    """``NAME…``, ``--runtime``, ``--store``."""
    completed(parser.add_argument("names", metavar="NAME", nargs="+", help="packages, store paths, or pname@version"))
    runtime_arguments(parser)
    store_argument(parser)


def runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """``--runtime``, ``--host``, ``--port``."""
    parser.add_argument("--runtime", choices=RUNTIMES, help="default: the one that is installed")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=port, help="default: 8000, of SGLang 30000; Triton takes the two after it too")


def port(text: str) -> int:
    """A port's number. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, found {text!r}")
    return int(text)


def asked(arguments: argparse.Namespace) -> Asked:
    """What the command line asks to serve."""
    from hf_pack.steps.serving.serve import Asked

    return Asked(
        names=arguments.names,
        runtime=arguments.runtime,
        host=arguments.host,
        port=arguments.port,
        arguments=arguments.passed_on,
    )


def places(arguments: argparse.Namespace) -> tuple[Workspace | None, Store, Machine]:
    """Workspace, store and machine."""
    from hf_pack import wiring

    return wiring.optional_workspace(Path()), wiring.open_store(arguments.store), wiring.open_machine()


def say_notes(prepared: Prepared) -> None:
    """Each note on its line of stderr."""
    for note in prepared.notes:
        talk(f"note: {note}")


def shell_line(launch: Launch, machine: Machine) -> str:
    """The command with its environment, for any shell."""
    unset = [word for name in machine.set_here(launch.unset) for word in ("-u", name)]
    return shlex.join(["env", *unset, *(f"{name}={value}" for name, value in launch.environment), *launch.argv])


def document(prepared: Prepared) -> dict[str, object]:
    """The launch for ``--json``."""
    launch = prepared.launch
    return {
        "runtime": launch.runtime,
        "version": prepared.installed.version if prepared.installed is not None else None,
        "store_paths": [package.store_path for package in prepared.packages],
        "argv": launch.argv,
        "environment": dict(launch.environment),
        "unset": launch.unset,
        "loads": launch.loads,
        "url": launch.url,
        "model_names": launch.model_names,
        "notes": prepared.notes,
    }
