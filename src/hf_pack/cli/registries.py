"""What the commands that ship packages say of registries and OCI layouts: their options, and what was done."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from hf_pack.cli.output import count_words, size_words, talk

if TYPE_CHECKING:
    from hf_pack.steps.oci_publish import Published

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
    from hf_pack import registries
    from hf_pack.cli.progress import TerminalProgress

    return registries.publish(
        arguments.name,
        address,
        shape=arguments.shape,
        plain_http=arguments.plain_http,
        store=arguments.store,
        progress=TerminalProgress(),
    )


def say_published(published: Published, shape: str) -> None:
    """The store path on stdout, where it is and what that took on stderr."""
    print(published.store_path)
    talk(
        f"{published.name}:{published.tag} is {published.digest}: sent {count_words(published.uploaded, 'blob')}, "
        f"{size_words(published.bytes_sent)} of {size_words(published.bytes_total)}"
    )
    if shape == "both" and published.bytes_sent:
        talk("note: it holds the weights twice, raw and as image layers; --as modelpack or --as image holds them once")
