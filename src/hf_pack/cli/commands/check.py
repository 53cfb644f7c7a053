"""``hf-pack check``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from hf_pack.cli import serving
from hf_pack.cli.command import Command, name_argument, store_argument
from hf_pack.cli.output import print_json, size_words, table, talk
from hf_pack.gpu.kv_form import KV_FORMS

if TYPE_CHECKING:
    from hf_pack.gpu.check import Check
    from hf_pack.gpu.choice import Choice

_EXIT = 7  # not compatible (DESIGN.md, section 6)
#: Of the runtimes' words those whose width is known.
_DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")
_KV_DTYPES = ("auto", *KV_FORMS)
_MOST_GPUS = 9_999
_MOST = 1_000_000_000  # tokens, or requests


def _arguments(parser: argparse.ArgumentParser) -> None:
    name_argument(parser, help_text="a package, store path, pname@version, repo id (ORG/NAME) or model directory")
    parser.add_argument(
        "--gpu",
        action="append",
        metavar="GPU",
        default=[],
        help='a name, "2x H100", or sm89 with --memory; may be repeated (default: the GPUs of this machine)',
    )
    parser.add_argument("--memory", metavar="SIZE", help="memory of each GPU that CUDA sees, e.g. 24GiB")
    parser.add_argument("--runtime", choices=serving.RUNTIMES, default="vllm", help="default: vllm")
    parser.add_argument("--runtime-version", metavar="VERSION", help="of the runtime (default: the matrix's own)")
    parser.add_argument("--tp", type=_up_to(_MOST_GPUS), metavar="N", help="tensor parallelism; repeats a single --gpu")
    parser.add_argument("--max-model-len", type=_length, metavar="TOKENS", help="context length; -1: what fits")
    parser.add_argument(
        "--concurrency", type=_up_to(_MOST), metavar="N", help="requests of full length at once (default: 1)"
    )
    parser.add_argument("--kv-dtype", choices=_KV_DTYPES, metavar="DTYPE", help="of the KV cache: auto, fp8, bfloat16")
    parser.add_argument(
        "--dtype", choices=_DTYPES, metavar="DTYPE", help="of the computation: auto, float16, bfloat16, float32"
    )
    parser.add_argument(
        "--memory-fraction", type=_fraction, metavar="X", help="of a GPU's memory that the runtime takes"
    )
    parser.add_argument("--variants", action="store_true", help="rank the known quantized variants for these GPUs")
    parser.add_argument(
        "--from",
        dest="cache",
        action="append",
        metavar="URL",
        default=[],
        help="NAME is what this cache's index lists, which alone is read; with --variants, more places to look",
    )
    parser.add_argument("--plot", metavar="FILE", help="write a picture of each GPU's memory (SVG)")
    parser.add_argument("--strict", action="store_true", help="an answer that is not known is a failure too")
    store_argument(parser)


def _up_to(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a number from 1 to {most:,}, found {text!r}")
        return int(text)

    return count


def _length(text: str) -> int:
    return -1 if text == "-1" else _up_to(_MOST)(text)


def _fraction(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"expected a share over 0 and up to 1, found {text!r}")
    return found


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from hf_pack.api import checking
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.gpu.catalogue import parse_memory
    from hf_pack.gpu.check import Verdict
    from hf_pack.gpu.facts import Options

    ask = checking.variants if arguments.variants else checking.check
    answer = ask(
        arguments.name,
        gpus=arguments.gpu,
        memory=parse_memory(arguments.memory) if arguments.memory else None,
        runtime=arguments.runtime,
        options=Options(
            tensor_parallel=arguments.tp,
            max_model_len=arguments.max_model_len,
            concurrency=arguments.concurrency,
            kv_dtype=arguments.kv_dtype,
            dtype=arguments.dtype,
            memory_fraction=arguments.memory_fraction,
            runtime_version=arguments.runtime_version,
        ),
        store=arguments.store,
        caches=arguments.cache,
        progress=TerminalProgress(),
    )
    found = answer[0].candidate.check if isinstance(answer, tuple) else answer
    if arguments.plot:
        checking.write_picture(found, Path(arguments.plot))
        talk(f"wrote {arguments.plot}")
    if arguments.json:
        print_json(answer)
    elif isinstance(answer, tuple):
        _print_choices(answer)
    else:
        _print(found)
    good = (Verdict.OK,) if arguments.strict else (Verdict.OK, Verdict.UNKNOWN)
    return 0 if found.verdict in good else _EXIT


def _print_choices(choices: tuple[Choice, ...]) -> None:
    table(
        [("", "verdict", "model", "format", "kernel", "weights", "longest context", "from")]
        + [
            (
                str(choice.place),
                choice.candidate.check.verdict.value,
                choice.candidate.check.label,
                choice.candidate.check.scheme,
                choice.candidate.check.kernel,
                ("" if choice.candidate.exact else "about ") + size_words(choice.candidate.check.weight_bytes),
                f"{choice.candidate.check.max_model_len:,}" if choice.candidate.check.max_model_len else "-",
                choice.candidate.origin,
            )
            for choice in choices
        ]
    )
    for choice in choices:
        if choice.candidate.unread is not None:
            talk(f"about {choice.candidate.check.label}: {choice.candidate.unread}")
    best = choices[0]
    talk(f"best: {best.candidate.check.label}: {best.rule} [{best.source}]")


def _print(found: Check) -> None:
    gpu = found.gpus[0]
    count = f"{len(found.gpus)}x " if len(found.gpus) > 1 else ""
    memory, kv = found.memory, found.memory.kv
    quantization = found.quantization
    words = [quantization.method]
    words += [f"{quantization.bits} bits"] if quantization.bits else []
    words += [f"groups of {quantization.group_size}"] if (quantization.group_size or 0) > 0 else []
    words += [f"{quantization.activations} activations"] if quantization.activations else []
    rows = [
        ("verdict", found.verdict.value),
        ("model", found.label),
        ("on", f"{count}{gpu.name} (SM{gpu.sm}, {size_words(gpu.memory)}, {gpu.memory_source})"),
        ("with", f"{found.runtime} {found.runtime_versions}".rstrip()),
        ("quantization", ", ".join(words)),
        ("kernel", found.kernel + (f" ({found.kernel_name})" if found.kernel_name else "")),
        ("dtype", f"{found.dtype}, KV cache {found.kv_dtype}"),
        ("weights", f"{size_words(found.weight_bytes)} on each GPU"),
        (
            "other",
            f"about {size_words(memory.overhead.likely)} "
            f"({size_words(memory.overhead.low)} to {size_words(memory.overhead.high)}, estimated)",
        ),
        (
            "KV cache",
            f"about {size_words(max(0, kv.likely))} ({size_words(max(0, kv.low))} to {size_words(max(0, kv.high))})"
            + (f", {size_words(found.kv_bytes_per_token)} a token" if found.kv_bytes_per_token is not None else "")
            + (f", {found.kv_tokens:,} tokens" if found.kv_tokens is not None else ""),
        ),
    ]
    if found.max_model_len is not None and found.context_length is not None:
        rows.append(("longest context", f"{found.max_model_len:,} tokens (checked: {found.context_length:,})"))
    if found.concurrency is not None:
        rows.append(("at once", f"{found.concurrency:,.1f} requests of {found.context_length or 0:,} tokens"))
    table(rows)
    for reason in found.reasons:
        talk(f"{reason.level}: {reason}")
    for change in found.changes:
        longest = f" (up to {change.max_model_len:,} tokens)" if change.max_model_len else ""
        talk(f"it would fit with {change.what}: {change.arguments}{longest}")


COMMAND = Command(
    name="check",
    summary="does it run on a GPU, how, and does it fit",
    description=(
        "Says whether a model runs on GPUs with a runtime, by which kernel, whether weights and KV cache fit, how\n"
        "long contexts may be, how many requests fit at once, and what to change if it does not fit. Needs headers\n"
        "only: nothing is downloaded for it. Numbers that are estimated say so. Exit code 7 when it does not run or\n"
        "does not fit; an answer that is not known is 0, with --strict 7."
    ),
    examples=(
        "hf-pack check my-model --gpu L4",
        'hf-pack check Qwen/Qwen3-32B --gpu "2x H100" --max-model-len 32768 --concurrency 8',
        "hf-pack check my-model --from https://cache.example.org --gpu L4",
        "hf-pack check my-model --gpu sm89 --memory 24GiB --runtime sglang --json",
    ),
    arguments=_arguments,
    run=_run,
)
