"""``hf-pack env``."""

from __future__ import annotations

import argparse
import shlex

from hf_pack.cli import serving
from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json


def _arguments(parser: argparse.ArgumentParser) -> None:
    serving.packages_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.steps.serving.serve import find_packages, prepare

    workspace, store, machine = serving.places(arguments)
    asked = serving.asked(arguments)
    prepared = prepare(asked, find_packages(asked.names, workspace, store), workspace, store, machine)
    launch = prepared.launch
    loads = "HF_PACK_MODEL_REPOSITORY" if launch.runtime == "triton" else "HF_PACK_MODEL"
    # Other programs of the shell have their own use for these; the runtimes' caches have variables of their own too.
    own = {name: value for name, value in launch.environment if not name.startswith("XDG_")}
    variables = {**own, loads: launch.loads}
    if arguments.json:
        print_json({**serving.document(prepared), "environment": variables})
        return 0
    serving.say_notes(prepared)
    for name, value in sorted(variables.items()):
        print(f"export {name}={shlex.quote(value)}")
    for name in machine.set_here(launch.unset):
        print(f"unset {name}")
    return 0


COMMAND = Command(
    name="env",
    summary="the environment that serve gives a runtime, for eval",
    description=(
        "Prints lines for a shell's eval. HF_PACK_MODEL is what vLLM and SGLang are told to load,\n"
        "HF_PACK_MODEL_REPOSITORY what Triton is; both are in the command that serve --print prints too."
    ),
    examples=(
        'eval "$(hf-pack env my-model --runtime vllm)"; vllm serve "$HF_PACK_MODEL"',
        'eval "$(hf-pack env my-model --runtime triton)"; tritonserver --model-repository="$HF_PACK_MODEL_REPOSITORY"',
    ),
    arguments=_arguments,
    run=_run,
)
