"""``hf-pack pull``."""

from __future__ import annotations

import argparse
import shlex

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.registries import plain_http_argument, pull_from_registry, say_partial
from hf_pack.cli.stores import say_store
from hf_pack.cli.trust import policy_argument, signature_policy, trust_arguments


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="what was published: pname (its newest build), pname@version, store path; none: what the registry "
        "or the archive holds",
    )
    parser.add_argument(
        "--from",
        dest="caches",
        metavar="URL",
        action="append",
        help="a binary cache, or an archive of `export --to tar`; may be repeated, the first that has an object gives "
        "it (default: caches in hf-pack.toml); or a registry, oci://REGISTRY/REPOSITORY[:TAG]; or an OCI layout, "
        "oci-layout:DIR[:TAG]",
    )
    trust_arguments(parser)
    policy_argument(parser)
    parser.add_argument(
        "--root", metavar="LINK", help="a link to the package, which keeps it (default: one in this user's state)"
    )
    parser.add_argument(
        "--only",
        choices=("config", "tree"),
        help="no store object but plain files into --output: the .json and .pbtxt files, or all but weights",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="a new directory: for --only, or of a ModelPack artifact's files, whoever made it; no store",
    )
    registry = parser.add_argument_group("from a registry or an OCI layout")
    plain_http_argument(registry)
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring
    from hf_pack.api import registries
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import UsageError

    if addresses := [url for url in arguments.caches or () if registries.is_registry(url)]:
        if arguments.output is None:
            say_store(arguments.store)
        return pull_from_registry(arguments, addresses[0])
    from_words = shlex.quote(arguments.caches[0]) if arguments.caches else "URL"
    archives = [url for url in arguments.caches or () if wiring.is_archive(url)]
    if not arguments.names and (not archives or arguments.only or len(archives) < len(arguments.caches)):
        raise UsageError("which package?", hint=f"hf-pack search --from {from_words}")
    if (arguments.output is None) != (arguments.only is None) or (arguments.only and len(arguments.names) > 1):
        raise UsageError(
            "--only and --output go together, for one package",
            hint=f"hf-pack pull {arguments.names[0]} --only config --output DIR --from {from_words}",
        )
    if arguments.only is not None:
        return _partial(arguments)
    say_store(arguments.store)
    pulled = api.pull(
        arguments.names,
        caches=arguments.caches or (),
        trusted_keys=arguments.trusted_keys or (),
        signatures=signature_policy(arguments),
        root=arguments.root,
        store=arguments.store,
        progress=TerminalProgress(),
    )
    store, brought = wiring.open_store(arguments.store), pulled.brought
    if arguments.json:
        packages = [
            {
                "name": choice.text,
                "store_path": info.store_path,
                "real_path": store.real_path(info.store_path),
                "nar_hash": info.nar_hash,
                "nar_size": info.nar_size,
                "references": info.references,
                "signed": choice.signed,
            }
            for choice, info in pulled.packages
        ]
        print_json(
            {
                "packages": packages,
                "objects": brought.objects,
                "bytes_received": brought.bytes_received,
                "seconds": round(brought.seconds, 3),
            }
        )
        return 0
    for _, info in pulled.packages:
        print(info.store_path)
    talk(
        f"{count_words(brought.objects, 'object')}, {size_words(brought.bytes_received)} in {brought.seconds:.1f} s"
        if brought.objects
        else "all of it is here already"
    )
    return 0


def _partial(arguments: argparse.Namespace) -> int:
    from hf_pack import api
    from hf_pack.cli.progress import TerminalProgress

    found = api.pull_partial(
        arguments.names[0],
        arguments.only,
        arguments.output,
        caches=arguments.caches or (),
        trusted_keys=arguments.trusted_keys or (),
        signatures=signature_policy(arguments),
        store=arguments.store,
        progress=TerminalProgress(),
    )
    say_partial(found, arguments)
    return 0


COMMAND = Command(
    name="pull",
    summary="packages from a binary cache, an archive or a registry, with all that they refer to",
    description=(
        "Brings what the store lacks, proves every byte, prints one store path a line. An interrupted pull goes on\n"
        "where it was. A link in $XDG_STATE_HOME/hf-pack/pulled keeps each package until it is removed (`hf-pack\n"
        "roots` shows it). A store path proves itself; of a name, only a signature says that its publisher meant it."
    ),
    examples=(
        "hf-pack pull vllm-qwen3.5-2b --from https://cache.example.org",
        "hf-pack pull vllm-qwen3.5-2b@1.0.0+ca88e16 --from s3://models/cache --signatures enforce --trusted-key KEY",
        "hf-pack pull --from /media/usb/models.tar",
        "hf-pack pull --from oci://registry.example.org/models/my-model:1.0.0_ca88e16",
        "hf-pack pull /nix/store/…-my-model-1.0.0+0000000 --from file:///mnt/usb/cache --root ./model",
    ),
    arguments=_arguments,
    run=_run,
)
