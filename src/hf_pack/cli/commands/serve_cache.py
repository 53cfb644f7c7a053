"""``hf-pack serve-cache``."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from hf_pack.cli.command import Command, store_argument
from hf_pack.cli.output import print_json, talk

_DEFAULT = "127.0.0.1:8501"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=_DEFAULT,
        help=f"where (default: {_DEFAULT}; 0.0.0.0:8501 for the neighbours; port 0 takes a free one)",
    )
    parser.add_argument(
        "--sign",
        metavar="KEYFILE",
        action="append",
        default=[],
        help="sign narinfos and the index with this secret key; may be repeated",
    )
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack import wiring
    from hf_pack.adapters.cache_server import CacheServer
    from hf_pack.adapters.key_files import read_secret_key
    from hf_pack.errors import UsageError
    from hf_pack.steps.caches.serve_cache import StoreAsCache

    if wiring.store_note(arguments.store) is not None:
        raise UsageError(
            "this would show the whole Nix store of this machine to others, and nobody named it",
            hint="hf-pack serve-cache --store PATH, or --store daemon if everything in it may be read",
        )
    host, port = _address(arguments.listen)
    store = wiring.open_store(arguments.store)
    keys = [read_secret_key(Path(file)) for file in arguments.sign]
    with CacheServer(host, port, StoreAsCache(store=store, keys=keys).look_up) as server:
        if arguments.json:
            print_json({"url": server.url, "store": store.url})
        else:
            print(server.url, flush=True)
        talk(f"serving {store.url}; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _address(text: str) -> tuple[str, int]:
    from hf_pack.errors import UsageError

    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"not an address to listen at\n  --listen: expected HOST:PORT, found {text!r}",
            hint=f"hf-pack serve-cache --listen {_DEFAULT}",
        )
    return host.strip("[]"), int(port)


COMMAND = Command(
    name="serve-cache",
    summary="this machine's store as a binary cache for its neighbours",
    description=(
        "Serves the store read-only over HTTP as a Nix binary cache: `nix copy --from`, `hf-pack pull --from` and\n"
        "`hf-pack search --from` read it. NARs are made on the fly from the files, ranges are answered, nothing is\n"
        "stored twice. The bytes prove themselves by their store path, names by --sign; put a reverse proxy in front\n"
        "for TLS and access rules."
    ),
    examples=(
        "hf-pack serve-cache",
        "hf-pack serve-cache --listen 0.0.0.0:8501",
    ),
    arguments=_arguments,
    run=_run,
)
