"""What the commands that ship packages say of registries and OCI layouts: their options, and what was done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.trust import signature_policy

if TYPE_CHECKING:
    from hf_pack.ports import Progress
    from hf_pack.steps.caches.pull_partial import Partial
    from hf_pack.steps.registries.oci_publish import Published

SHAPES = ("both", "modelpack", "image")


def shape_arguments(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--as SHAPE``."""
    parser.add_argument(
        "--as",
        dest="shape",
        choices=SHAPES,
        default="both",
        help="a ModelPack artifact (raw files), an image that containers mount (tar layers), or both, which holds the "
        "weights twice (default)",
    )


def plain_http_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--plain-http``."""
    parser.add_argument(
        "--plain-http", action="store_true", help="no TLS; a registry on this machine is asked so in any case"
    )


def publish_to_registry(arguments: argparse.Namespace, address: str) -> Published:
    """``publish NAME --to oci://…``."""
    from hf_pack.api import registries
    from hf_pack.cli.progress import TerminalProgress

    return registries.publish(
        arguments.name,
        address,
        shape=arguments.shape,
        signature=arguments.signature,
        plain_http=arguments.plain_http,
        redistribute=arguments.redistribute,
        store=arguments.store,
        progress=TerminalProgress(),
    )


def pull_from_registry(arguments: argparse.Namespace, address: str) -> int:
    """``pull [NAME] --from oci://…``; with ``--output`` a model's files, whoever published them."""
    from hf_pack import wiring
    from hf_pack.api import registries
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.errors import UsageError

    if len(arguments.names) > 1 or len(arguments.caches) > 1:
        raise UsageError(
            "a registry gives one package at a time", hint="hf-pack pull --from oci://REGISTRY/REPOSITORY:TAG"
        )
    if arguments.only is not None and arguments.output is None:
        raise UsageError("--only goes with --output", hint="hf-pack pull --only config --output DIR --from oci://…")
    name = arguments.names[0] if arguments.names else ""
    progress = TerminalProgress()
    if arguments.only is not None:
        partial = registries.pull_partial(
            address,
            name,
            arguments.only,
            arguments.output,
            trusted_keys=arguments.trusted_keys or (),
            signatures=signature_policy(arguments),
            plain_http=arguments.plain_http,
            progress=progress,
        )
        say_partial(partial, arguments)
        return 0
    if arguments.output is not None:
        return _pull_model(arguments, address, progress)
    pulled = registries.pull(
        address,
        name,
        trusted_keys=arguments.trusted_keys or (),
        signatures=signature_policy(arguments),
        root=arguments.root,
        plain_http=arguments.plain_http,
        store=arguments.store,
        progress=progress,
    )
    info = pulled.info
    if arguments.json:
        package = {
            "name": name or info.store_path.name,
            "store_path": info.store_path,
            "real_path": wiring.open_store(arguments.store).real_path(info.store_path),
            "nar_hash": info.nar_hash,
            "nar_size": info.nar_size,
            "references": info.references,
            "signed": pulled.signed,
        }
        print_json(
            {
                "packages": [package],
                "objects": pulled.objects,
                "bytes_received": pulled.bytes_received,
                "seconds": round(pulled.seconds, 3),
            }
        )
        return 0
    print(info.store_path)
    talk(
        f"{count_words(pulled.objects, 'object')} came, {size_words(pulled.bytes_received)} in {pulled.seconds:.1f} s"
        if pulled.objects
        else "all of it is here already"
    )
    return 0


def _pull_model(arguments: argparse.Namespace, address: str, progress: Progress) -> int:
    from hf_pack import wiring
    from hf_pack.api import registries
    from hf_pack.errors import PolicyError, UsageError

    if arguments.names:
        raise UsageError("--output takes what is at the address; no name goes with it")
    policy = signature_policy(arguments)
    if wiring.read_trust(arguments.trusted_keys or (), policy, wiring.optional_workspace(Path())).required:
        raise PolicyError(
            "an artifact's files alone hold no signatures that are read here, and they are demanded\n"
            "  --signatures, or policy.signatures in hf-pack.toml: found enforce",
            hint="pull the package, without --output",
        )
    written = registries.pull_model(address, arguments.output, plain_http=arguments.plain_http, progress=progress)
    directory = Path(arguments.output).absolute()
    if arguments.json:
        print_json({"directory": directory, "files": written.files, "bytes_received": written.bytes_received})
    else:
        print(directory)
        talk(f"{count_words(written.files, 'file')}, {size_words(written.bytes_received)} came")
    return 0


def say_partial(found: Partial, arguments: argparse.Namespace) -> None:
    """A package's small files, a line ``SHA256  PATH`` each, as ``sha256sum`` reads them."""
    if arguments.json:
        print_json({"store_path": found.choice.store_path, "proved": found.proved, "files": found.digests})
        return
    for path, digest in found.digests.items():
        print(f"{digest.sha256.hex()}  {path}")
    talk(f"{count_words(len(found.files), 'file')} of {found.choice.store_path} in {arguments.output}; no store object")


def say_published(published: Published, shape: str) -> None:
    """The store path on stdout, where it is and what that took on stderr."""
    print(published.store_path)
    talk(
        f"{published.name}:{published.tag} is {published.digest}: sent {count_words(published.uploaded, 'blob')}, "
        f"{size_words(published.bytes_sent)} of {size_words(published.bytes_total)}"
    )
    if shape == "both" and published.bytes_sent:
        talk("note: it holds the weights twice, raw and as image layers; --as modelpack or --as image holds them once")
