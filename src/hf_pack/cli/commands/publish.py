"""``hf-pack publish``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.cli.command import Command, completed, redistribution_argument, store_argument
from hf_pack.cli.output import count_words, print_json, size_words, talk
from hf_pack.cli.registries import plain_http_argument, publish_to_registry, say_published, shape_arguments

if TYPE_CHECKING:
    from hf_pack.steps.caches.publish import Shipped

FLOX = "flox"


def _arguments(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("name", metavar="NAME", help="a package, a store path, or pname@version of what is built")
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        action="append",
        help="a binary cache: file:///DIR, s3://BUCKET/PREFIX, gs://…, az://…, http(s)://…; a container registry: "
        "oci://REGISTRY/REPOSITORY[:TAG]; or flox; may be repeated (default: targets in hf-pack.toml)",
    )
    parser.add_argument(
        "--sign", metavar="KEYFILE", action="append", default=[], help="sign with this secret key; may be repeated"
    )
    parser.add_argument(
        "--signature",
        metavar="BUNDLE",
        help="the model signature that goes with it, as `hf-pack sign` makes it (default: models/NAME.sig, if there)",
    )
    parser.add_argument(
        "--compression",
        choices=("auto", "none", "zstd"),
        default="auto",
        help="of NARs: auto takes zstd where a sample shrinks by a third (default)",
    )
    redistribution_argument(parser)
    store_argument(parser)
    registry = parser.add_argument_group("with --to oci://…")
    shape_arguments(registry)
    plain_http_argument(registry)
    flox = parser.add_argument_group("with --to flox")
    flox.add_argument("--output", metavar="DIR", help="the repository that was exported (default: the workspace)")
    flox.add_argument("--org", metavar="ORG", help="the organisation whose catalogue it is (default: your own)")


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import api, wiring
    from hf_pack.cli.progress import TerminalProgress
    from hf_pack.formats.oci.reference import SCHEME

    if arguments.to == [FLOX]:
        return _to_flox(arguments)
    workspace = None if arguments.to else wiring.optional_workspace(Path())
    to = arguments.to or (wiring.read_settings(workspace).targets if workspace is not None else ())
    addresses = [address for address in to if address.startswith(SCHEME)]
    caches = [url for url in to if url not in addresses] if addresses else arguments.to or ()
    in_registries = [publish_to_registry(arguments, address) for address in addresses]
    shipped: tuple[Shipped, ...] = ()
    if caches or not addresses:
        shipped = api.publish(
            arguments.name,
            to=caches,
            sign=arguments.sign,
            signature=arguments.signature,
            compression=arguments.compression,
            redistribute=arguments.redistribute,
            store=arguments.store,
            progress=TerminalProgress(),
        )
    if arguments.json:
        print_json([*shipped, *in_registries])
        return 0
    for one in shipped:
        _print(one)
    for published in in_registries:
        say_published(published, arguments.shape)
    return 0


def _print(one: Shipped) -> None:
    print(one.store_path)
    rate = f", {size_words(int(one.bytes_sent / one.seconds))}/s" if one.bytes_sent and one.seconds else ""
    name = one.store_path.name if one.entry is None else f"{one.entry.pname}@{one.entry.version}"
    talk(
        f"{name} is in {one.cache}: sent {one.objects_sent} of {count_words(one.objects, 'object')}, "
        f"{size_words(one.bytes_sent)} in {one.seconds:.1f} s{rate}"
    )


def _to_flox(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.adapters.flox_command import find_flox
    from hf_pack.cli.flox import check_repository
    from hf_pack.steps.exporting.flox_check import require_publishable
    from hf_pack.steps.trust.redistribution import require_package_redistributable

    flox = find_flox()
    checked = check_repository(arguments)
    package = checked.package
    policy = wiring.read_policy(wiring.optional_workspace(Path()))
    require_package_redistributable(package, policy, told=arguments.redistribute)
    require_publishable(package, checked.checks, checked.store)
    flox.publish(checked.directory, package.name, arguments.org)
    if arguments.json:
        print_json({"name": package.name, "to": FLOX, "version": package.version, "directory": checked.directory})
    else:
        print(f"{package.manifest.pname}@{package.version}")
    return 0


COMMAND = Command(
    name="publish",
    summary="a package to where others get it",
    description=(
        "Sends a built package and all that it refers to into a binary cache that Nix and hf-pack read, as far as\n"
        "the cache lacks it, and gives it an entry in the cache's index by name. Run again after a failure, it\n"
        "goes on where it was. Credentials for object storage are found as each cloud's own tools find them.\n"
        "--to oci://… puts it into a container registry, as a ModelPack artifact and as an image that containers\n"
        "mount, under the version as tag (_ for +). Who logs in follows from docker's or podman's configuration.\n"
        "--to flox goes through the checks of `hf-pack flox-check` and calls `flox publish` in the exported\n"
        "repository. A version that already names another content is refused (exit code 8),\n"
        "and so is a model whose licence does not let everybody pass it on."
    ),
    examples=(
        "hf-pack publish my-model --to file:///srv/cache",
        "hf-pack publish my-model --to 's3://models/cache?region=eu-central-1' --sign cache.example.org-1.secret",
        "hf-pack publish my-model --to oci://registry.example.org/models/my-model",
        "hf-pack publish my-model --to flox --org my-team --output ../models-repository",
    ),
    arguments=_arguments,
    run=_run,
)
