"""``hf-pack serve``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hf_pack.cli import serving
from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json, talk

if TYPE_CHECKING:
    from hf_pack.ports import Machine, Store
    from hf_pack.steps.serving.serve import Asked, Prepared
    from hf_pack.steps.serving.served_package import ServedPackage


def _arguments(parser: argparse.ArgumentParser) -> None:
    serving.packages_argument(parser)
    parser.add_argument("--verify", action="store_true", help="re-hash every byte first")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--print", dest="only_print", action="store_true", help="print the command, do not run it")
    how.add_argument(
        "--container", choices=("docker", "podman"), help="print a line that serves from a container, with its mounts"
    )
    how.add_argument("--smoke", action="store_true", help="start, wait, send one request, stop; exit 0 if it answered")
    parser.add_argument("--image", help="with --container: another image than the runtime's official one")
    parser.add_argument("--gpus", default="all", help="with --container: which GPUs, or none (default: all)")
    start_arguments(parser)


def start_arguments(parser: argparse.ArgumentParser) -> None:
    """``--no-check``, ``--prompt``, ``--timeout``."""
    parser.add_argument(
        "--no-check", action="store_true", help="start even if this machine's GPUs do not suit, and ask nothing"
    )
    parser.add_argument("--prompt", default="Hello, my name is", help="with --smoke: what is sent")
    parser.add_argument(
        "--timeout", type=seconds, default=900.0, help="with --smoke: seconds to become ready, and for an answer"
    )


def seconds(text: str) -> float:
    """A time. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, found {text!r}")
    return found


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.steps.serving.serve import find_packages, prepare, verify_first

    workspace, store, machine = serving.places(arguments)
    asked = serving.asked(arguments)
    packages = find_packages(asked.names, workspace, store)
    if arguments.verify:
        from hf_pack.cli.progress import TerminalProgress

        verify_first(packages, store, os.cpu_count() or 1, TerminalProgress())
    if arguments.container:
        return _print_container(arguments, asked, packages, store, machine)
    asked = with_free_port(asked, machine) if arguments.smoke else asked
    prepared = prepare(asked, packages, workspace, store, machine)
    if arguments.only_print:
        return print_command(prepared, arguments, machine)
    return serve(prepared, arguments, store, machine)


def print_command(prepared: Prepared, arguments: argparse.Namespace, machine: Machine) -> int:
    """The command that would be run, as a line for any shell or as JSON."""
    if arguments.json:
        print_json(serving.document(prepared))
    else:
        serving.say_notes(prepared)
        print(serving.shell_line(prepared.launch, machine))
    return 0


def with_free_port(asked: Asked, machine: Machine) -> Asked:
    """A smoke test disturbs no server that runs: unless one is asked for, its port is a free one."""
    from dataclasses import replace

    return asked if asked.port is not None else replace(asked, port=machine.free_port(3))


def serve(prepared: Prepared, arguments: argparse.Namespace, store: Store, machine: Machine) -> int:
    """Check, then become the runtime, or test it."""
    from hf_pack.cli.start_check import warnings_before
    from hf_pack.steps.serving.serve import require_ready

    store.hold([package.store_path for package in prepared.packages])
    warnings = require_ready(prepared, machine)
    if not arguments.no_check:
        warnings += warnings_before(prepared, store)
    serving.say_notes(prepared)
    for warning in warnings:
        talk(f"warning: {warning}")
    if arguments.smoke:
        return _smoke(prepared, arguments, machine)
    if arguments.json:
        print_json(serving.document(prepared))
    version = prepared.installed.version if prepared.installed is not None else None
    talk(
        f"{prepared.runtime.title} {version or '(version unknown)'} serves "
        f"{', '.join(prepared.launch.model_names)} at {prepared.launch.url}"
    )
    return machine.become(prepared.launch)


def _smoke(prepared: Prepared, arguments: argparse.Namespace, machine: Machine) -> int:
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.steps.serving.smoke import smoke

    log = machine.state / "logs" / f"smoke-{os.getpid()}.log"
    with ended_by_a_signal():
        smoked = smoke(prepared, machine, arguments.prompt, arguments.timeout, log, TerminalProgress())
    if not smoked.problem:
        log.unlink(missing_ok=True)
    if arguments.json:
        print_json({**serving.document(prepared), "ok": not smoked.problem, "smoke": smoked})
        return 1 if smoked.problem else 0
    for said in smoked.answers:
        print(said.text)
        talk(f"{said.model_name}: first token after {said.first_token_seconds:.2f} s, all after {said.seconds:.2f} s")
    if smoked.start_seconds is not None and smoked.load_seconds is not None:
        talk(f"listened after {smoked.start_seconds:.1f} s, ready {smoked.load_seconds:.1f} s later")
    if smoked.problem:
        for line in smoked.last_lines:
            talk(f"  {line}")
        talk(f"error: {smoked.problem}\n  {smoked.log}")
    return 1 if smoked.problem else 0


@contextmanager
def ended_by_a_signal() -> Iterator[None]:
    """A terminal that closes, or a supervisor, ends the test as an interrupt does: with the runtime stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_container(
    arguments: argparse.Namespace,
    asked: Asked,
    packages: tuple[ServedPackage, ...],
    store: Store,
    machine: Machine,
) -> int:
    from hf_pack.steps.serving.container import container_line

    line = container_line(
        arguments.container, asked, packages, store, machine, image=arguments.image, gpus=arguments.gpus
    )
    if arguments.json:
        print_json(
            {
                "runtime": line.launch.runtime,
                "store_paths": [package.store_path for package in packages],
                "argv": line.argv,
                "url": line.url,
                "model_names": line.launch.model_names,
                "notes": line.launch.notes,
            }
        )
    else:
        for note in line.launch.notes:
            talk(f"note: {note}")
        print(shlex.join(line.argv))
    return 0


COMMAND = Command(
    name="serve",
    summary="serve packages with vLLM, SGLang or Triton",
    description=(
        "Starts the runtime with the right environment and flags: offline, the exact snapshot, engine parameters as\n"
        "the package states them, and everything that it writes in a state directory outside the store. What follows\n"
        "-- goes to the runtime and wins. Triton serves several packages; vLLM and SGLang serve the first, and the\n"
        "repo ids of the others resolve."
    ),
    examples=(
        "hf-pack serve my-model --runtime vllm",
        "hf-pack serve my-model --runtime sglang --port 9000 -- --max-total-tokens 4096",
        "hf-pack serve my-model other-model --runtime triton",
        "hf-pack serve /nix/store/…-my-model-1.0.0+0000000 --runtime vllm --smoke",
        "hf-pack serve my-model --runtime vllm --container docker",
    ),
    arguments=_arguments,
    run=_run,
)
