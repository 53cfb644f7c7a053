"""``export --to tar``: packages in one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hf_pack.cli.output import count_words, print_json, size_words, talk

DEFAULT = "packages.tar"
STDOUT = "-"


def archive_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--sign KEYFILE``."""
    parser.add_argument(
        "--sign", metavar="KEYFILE", action="append", default=[], help="sign with this secret key; may be repeated"
    )


def to_archive(arguments: argparse.Namespace) -> int:
    """Write it; stdout is the line that ``sha256sum --check`` reads."""
    from hf_pack import api
    from hf_pack.cli.names import chosen
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import UsageError

    output = arguments.output or DEFAULT
    if output == STDOUT and arguments.json:
        raise UsageError("the archive and --json cannot both go to stdout", hint="--output FILE.tar")
    if output == STDOUT and sys.stdout.isatty():
        raise UsageError("an archive is not for a terminal", hint="--output FILE.tar, or a pipe")
    archived = api.export_archive(
        arguments.names or chosen(arguments),
        output,
        sign=arguments.sign,
        redistribute=arguments.redistribute,
        store=arguments.store,
        progress=TerminalProgress(),
    )
    if arguments.json:
        print_json(
            {
                "file": Path(output).absolute(),
                "sha256": archived.sha256.hex(),
                "size": archived.size,
                "store_paths": archived.store_paths,
                "entries": archived.entries,
                "objects": archived.objects,
                "bytes_written": archived.bytes_written,
                "seconds": round(archived.seconds, 3),
            }
        )
        return 0
    line = f"{archived.sha256.hex()}  {output}"
    if output == STDOUT:
        talk(line)
    else:
        print(line)
    what = f"{count_words(len(archived.store_paths), 'package')}, {count_words(archived.objects, 'object')}"
    talk(f"{what}, {size_words(archived.size)} in {archived.seconds:.1f} s")
    return 0
