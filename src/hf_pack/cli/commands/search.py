"""``hf-pack search``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command
from hf_pack.cli.output import print_json, size_words, table, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", nargs="?", help="words that pname, repo id or quantization hold")
    parser.add_argument(
        "--from",
        dest="cache",
        metavar="URL",
        action="append",
        help="a binary cache that was published to, or an archive; may be repeated (default: caches in hf-pack.toml)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api

    found = api.search(arguments.text or "", caches=arguments.cache or ())
    if arguments.json:
        print_json(found)
        return 0
    table(
        [
            (
                f"{entry.pname}@{entry.version}",
                entry.layout.value,
                entry.quantization,
                size_words(entry.closure_size),
                entry.licence or "no licence stated",
                entry.repo_id,
            )
            for entry in found
        ],
        right=frozenset({3}),
    )
    if not found:
        talk("nothing found")
    return 0


COMMAND = Command(
    name="search",
    summary="what a binary cache holds, by name",
    description="Lists the index of a binary cache, newest builds first. --json has store paths and signatures.",
    examples=("hf-pack search --from https://cache.example.org", "hf-pack search 'qwen fp8' --from s3://models/cache"),
    arguments=_arguments,
    run=_run,
)
