"""``hf-pack add``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, allow_argument, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.stores import say_store

if TYPE_CHECKING:
    from hf_pack.steps.locking.add import Added


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a repo id on the Hub; or on disk an HF cache directory, one snapshot, a flat directory, a git clone",
    )
    parser.add_argument("--name", help="the package's name; dots become dashes in file names")
    parser.add_argument("--revision", metavar="ID", help="branch, tag or commit; on disk the snapshot to take")
    parser.add_argument("--repo-id", metavar="ORG/NAME", help="of a model on disk: what runtimes ask for")
    parser.add_argument("--layout", choices=("dual", "single", "hf"), help="directories for which runtimes")
    parser.add_argument("--triton-name", metavar="NAME", help="the model's name in Triton")
    parser.add_argument(
        "--storage", choices=("linked", "self-contained"), help="a tree of links to blobs, or of real files"
    )
    parser.add_argument("--allow-pickle", action="store_true", help="take weights in a pickle format")
    allow_argument(parser)
    parser.add_argument("--file", metavar="PATTERN", help="which GGUF file to take, where there are several")
    parser.add_argument("--no-headers", action="store_true", help="do not read the headers of weight files")
    parser.add_argument(
        "--target",
        action="append",
        metavar="GPU",
        default=[],
        help='a GPU that it is to run on ("L4", "2x H100"); engine parameters fit all of them; may be repeated',
    )
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.cli.progress import TerminalProgress

    say_store(arguments.store)
    added = api.add(
        arguments.source,
        store=arguments.store,
        name=arguments.name,
        revision=arguments.revision,
        repo_id=arguments.repo_id,
        layout=arguments.layout,
        triton_name=arguments.triton_name,
        storage=arguments.storage,
        file=arguments.file,
        allow_pickle=arguments.allow_pickle,
        allow=arguments.allow,
        headers=not arguments.no_headers,
        targets=arguments.target,
        progress=TerminalProgress(),
    )
    manifest, locked = added.manifest, added.locked
    if arguments.json:
        print_json(
            {
                "name": manifest.name,
                "manifest": f"models/{manifest.name}.toml",
                "lock": f"models/{manifest.name}.lock",
                "layout": manifest.layout,
                "repo_id": str(locked.lock.source.repo_id),
                "snapshot_id": locked.lock.source.snapshot_id,
                "snapshot_kind": locked.lock.source.snapshot_kind,
                "licence": locked.lock.licence,
                "size": locked.lock.size,
                "files": len(locked.lock.files),
                "omitted": locked.lock.omitted,
                "notes": locked.notes,
                "engine_parameters": manifest.vllm,
                "reasons": added.reasons,
                "findings": locked.lock.findings,
                "bytes_read": locked.bytes_read,
                "bytes_written": locked.bytes_written,
            }
        )
        return 0
    say_added(added)
    talk(f"wrote models/{manifest.name}.toml, models/{manifest.name}.lock, build-meta/{manifest.name}.json")
    talk(f"next: look at models/{manifest.name}.toml, then hf-pack build {manifest.name}")
    return 0


def say_added(added: Added, *, without: str | None = None) -> None:
    """What was locked: how much, from where, what was left out or allowed, and notes, but those that begin so."""
    manifest, locked = added.manifest, added.locked
    lock = locked.lock
    talk(
        f"{manifest.name}: {count_words(len(lock.files), 'file')}, {size_words(lock.size)}, "
        f"from {lock.source.repo_id} at {lock.source.snapshot_id[:12]} ({lock.source.snapshot_kind.value}), "
        f"layout {manifest.layout.value}"
    )
    for omitted in lock.omitted:
        talk(f"  left out {omitted.path}: {omitted.reason}")
    for finding in locked.lock.findings:
        talk(f"  allowed: {finding}")
    for reason in added.reasons:
        talk(f"  {reason}")
    for note in locked.notes:
        if without is None or not note.startswith(without):
            talk(f"  note: {note}")


COMMAND = Command(
    name="add",
    summary="manifest, build meta and lock for a model",
    description=(
        "Looks at the model's own files, proposes name, layout, Triton name and engine defaults, and writes a\n"
        "manifest to edit, the build metadata and the lock. A model on the Hub is locked from metadata: no weight\n"
        "byte is downloaded. Weights on disk are hashed and enter the store in one pass. When the model has a\n"
        "problem, it says what and where, and writes nothing."
    ),
    examples=(
        "hf-pack add Qwen/Qwen3-0.6B",
        "hf-pack add ~/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B",
        "hf-pack add ./my-model --name my-model --layout dual",
        'hf-pack add Qwen/Qwen3-8B --target L4 --target "2x T4"',
        "hf-pack add org/model-GGUF --file '*Q4_K_M*'",
    ),
    arguments=_arguments,
    run=_run,
)
