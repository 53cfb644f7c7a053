"""``hf-pack run``."""

from __future__ import annotations

import argparse

from hf_pack.cli import serving
from hf_pack.cli.command import Command, allow_argument, store_argument
from hf_pack.cli.commands.serve import print_command, serve, start_arguments, with_free_port
from hf_pack.cli.stores import say_store


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="REPO_ID", help="ORG/NAME on the Hub, or a path")
    parser.add_argument("--revision", help="branch, tag or commit (default: main)")
    parser.add_argument("--file", metavar="PATTERN", help="which GGUF file to take, where there are several")
    parser.add_argument("--allow-pickle", action="store_true", help="take weights in a pickle format")
    allow_argument(parser)
    parser.add_argument("--update", action="store_true", help="ask again what the revision is now")
    parser.add_argument("--offline", action="store_true", help="use what is on this machine")
    serving.runtime_arguments(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--print", dest="only_print", action="store_true", help="print the command, do not run it")
    how.add_argument("--smoke", action="store_true", help="start, wait, send one request, stop; exit 0 if it answered")
    start_arguments(parser)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.cli.own_workspace import Wanted, build
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.steps.serving.serve import choose, find_packages, prepare

    say_store(arguments.store)
    store, machine = wiring.open_store(arguments.store), wiring.open_machine()
    if arguments.runtime is None:  # before a byte moves
        choose(None, (), machine, any_runtime=True)
    wanted = Wanted(
        source=arguments.source,
        revision=arguments.revision,
        file=arguments.file,
        allow_pickle=arguments.allow_pickle,
        allow=tuple(arguments.allow),
        update=arguments.update,
        offline=arguments.offline,
    )
    arguments.names = [build(wanted, wiring.own_workspaces(), arguments.store, TerminalProgress())]
    asked = serving.asked(arguments)
    packages = find_packages(asked.names, None, store)
    asked = with_free_port(asked, machine) if arguments.smoke else asked
    prepared = prepare(asked, packages, None, store, machine, any_runtime=True)
    if arguments.only_print:
        return print_command(prepared, arguments, machine)
    return serve(prepared, arguments, store, machine)


COMMAND = Command(
    name="run",
    summary="from a repo id to a server: add, build and serve, no workspace needed",
    description=(
        "Packages a model and serves it, all in one. It keeps a workspace of its own for each source: the next\n"
        "time is quick and asks nobody, --update asks again. What follows -- goes to the runtime and wins."
    ),
    examples=(
        "hf-pack run Qwen/Qwen3-0.6B",
        "hf-pack run Qwen/Qwen3-0.6B --runtime sglang --port 9000",
        "hf-pack run ./my-model --runtime vllm -- --max-model-len 4096",
    ),
    arguments=_arguments,
    run=_run,
)
