"""The command line: parse, run, and turn errors into messages and exit codes."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import difflib
import errno
import io
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hf_pack.cli.command import EXIT_CODES, add_to
from hf_pack.cli.output import as_it_is, print_json, with_store
from hf_pack.errors import Error, UsageError

COMMAND_NAMES = (
    "init", "add", "lock", "plan", "build", "list", "show", "path", "verify", "serve", "env", "run", "check", "gpu",
    "diff", "bump", "export", "flox-check", "sign", "publish", "pull", "search", "key", "serve-cache", "store", "gc",
    "log", "roots", "completion",
)  # fmt: skip
PASSING_ON = ("serve", "env", "run")  #: commands that pass what follows `--` to a runtime

DESCRIPTION = """\
hf-pack packages Hugging Face model weights as immutable, content-addressed Nix store objects,
in the layouts that vLLM, SGLang and Triton Inference Server read directly. Nix is not needed."""

EPILOG = f"""\
start here:
  hf-pack init                     a workspace in this directory
  hf-pack add ORG/NAME             manifest and lock for a model (or a path on disk)
  hf-pack build NAME               make the package; prints its store path

{EXIT_CODES}"""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as any other error, so that ``--json`` holds for it too."""

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument COMMAND: invalid choice: '([^']*)'", message)
        if wrong is None:
            raise UsageError(message, hint=f"{self.prog} --help")
        near = difflib.get_close_matches(wrong[1], COMMAND_NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{self.prog} --help"
        raise UsageError(f"there is no command {wrong[1]!r}", hint=hint)

    def parse_known_args(self, *arguments: Any, **named: Any) -> tuple[Any, list[str]]:
        """What a command does not know is that command's error, not the program's."""
        known, unknown = super().parse_known_args(*arguments, **named)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1)
            hint = f"did you mean {near[0]}?" if near else f"{self.prog} --help"
            if not near and self.prog.endswith(PASSING_ON):
                hint = f"what the runtime is told follows --: {self.prog} NAME -- {shlex.join(unknown)}"
            raise UsageError(f"unrecognized arguments: {shlex.join(unknown)}", hint=hint)
        return known, unknown


def build_parser(names: Sequence[str] = COMMAND_NAMES) -> argparse.ArgumentParser:
    """The parser of these commands; the command reference is generated from the whole one."""
    from importlib import import_module

    parser: argparse.ArgumentParser = _Parser(
        prog="hf-pack",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("-C", dest="directory", metavar="DIR", default=".", help="act as if started in DIR")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in names:
        add_to(subparsers, import_module(f"hf_pack.cli.commands.{name.replace('-', '_')}").COMMAND)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    _open_closed_streams()
    codecs.register_error("hf_pack", as_it_is)
    for stream, errors in ((sys.stdout, "hf_pack"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character still gets the line
            stream.reconfigure(errors=errors)
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            raise
        _drop_output()
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return UsageError.exit_code
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return code


def _open_closed_streams() -> None:
    """A process may be started with a closed stdout or stderr; then nobody reads."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process


def _drop_output() -> None:
    """What is still buffered for stdout goes nowhere, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(build_parser())
    # A command that is named first needs no other one's parser, which is most of what starting takes.
    parser = build_parser(arguments[:1] if arguments and arguments[0] in COMMAND_NAMES else COMMAND_NAMES)
    arguments, passed_on = _passed_on(arguments)
    as_json, store = "--json" in arguments, None
    try:
        parsed = parser.parse_args(arguments)
        parsed.passed_on = passed_on
        if parsed.version:
            from importlib.metadata import version

            print(version("hf-pack"))
            return 0
        if parsed.command is None:
            parser.print_help()
            return 0
        as_json, store = parsed.json, getattr(parsed, "store", None)
        with _working_in(parsed.directory):
            code: int = parsed.run(parsed)
            return code
    except Error as error:
        report(error, as_json=as_json, store=store)
        return error.exit_code


def _passed_on(arguments: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """The command's own arguments, and those behind ``--`` that it passes to the program that it starts."""
    command = next((text for text in arguments if text in COMMAND_NAMES), None)
    if command not in PASSING_ON or "--" not in arguments:
        return arguments, ()
    end = list(arguments).index("--")
    return arguments[:end], tuple(arguments[end + 1 :])


@contextlib.contextmanager
def _working_in(directory: str) -> Iterator[None]:
    """Every relative path of the command line is seen from ``-C``, those of options and stores too."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(contextlib.chdir(directory))
        except OSError as error:
            raise UsageError(f"-C {directory}: {error.strerror}", hint="name a directory that is there") from None
        yield


def report(error: Error, *, as_json: bool, store: str | None = None) -> None:
    """Print an error: as text on stderr, or as the contract's JSON object on stdout."""
    hint = with_store(error.hint, store)
    if as_json:
        stated: dict[str, object] = {"type": type(error).__name__, "message": error.message, "hint": hint}
        document = {"error": stated | ({"findings": error.findings} if error.findings else {})}
        print_json(document)
        return
    print(f"error: {error.message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
