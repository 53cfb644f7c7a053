"""``hf-pack sign``."""

from __future__ import annotations

import argparse

from hf_pack.cli.command import Command, completed, store_argument
from hf_pack.cli.output import print_json, talk


def _arguments(parser: argparse.ArgumentParser) -> None:
    completed(parser.add_argument("name", metavar="NAME", help="a package, a store path, or pname@version"))
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "--key",
        metavar="FILE",
        help="an elliptic curve private key in PEM (P-256, P-384, P-521); $HF_PACK_KEY_PASSWORD opens it",
    )
    who.add_argument(
        "--sigstore", action="store_true", help="your own identity, or the CI job's, by Sigstore's public service"
    )
    parser.add_argument(
        "--certificate",
        metavar="FILE",
        action="append",
        default=[],
        help="with --key: its certificate in PEM, then those that lead to a root; may be repeated",
    )
    parser.add_argument("--provenance", action="store_true", help="sign where it came from, not the model's files")
    parser.add_argument(
        "--output", metavar="FILE", help="where the bundle goes (default: models/NAME.sig, or NAME.provenance.sig)"
    )
    store_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    from hf_pack.api import proofs
    from hf_pack.errors import UsageError

    if arguments.certificate and arguments.key is None:
        raise UsageError("--certificate goes with --key", hint="Sigstore makes its own certificate")
    signer = proofs.sigstore_signer() if arguments.sigstore else proofs.key_signer(arguments.key, arguments.certificate)
    path = proofs.sign(arguments.name, signer, arguments.output, provenance=arguments.provenance, store=arguments.store)
    if arguments.json:
        print_json({"signature": path})
        return 0
    print(path)
    if not arguments.provenance:
        talk(f"hf-pack publish {arguments.name} sends it along; model_signing, OpenSSF's own tool, verifies it as well")
    return 0


COMMAND = Command(
    name="sign",
    summary="a signature of a package's model, as OpenSSF Model Signing has it",
    description=(
        "Signs the sha256 of every file of the model, and the store path, from what lock and store recorded: no\n"
        "weight is read, however large. The bundle lies beside the lock, since nothing can be added to a store\n"
        "object. `hf-pack publish` sends it along, `hf-pack pull --signatures enforce` asks for it; `hf-pack verify\n"
        "--signature` and OpenSSF's own tool hold the files against it."
    ),
    examples=(
        "hf-pack sign my-model --key model.key",
        "hf-pack sign my-model --key model.key --certificate model.pem --certificate intermediate.pem",
        "hf-pack sign my-model --sigstore",
        "hf-pack sign /nix/store/…-my-model-1.0.0+0000000 --key model.key --output my-model.sig",
    ),
    arguments=_arguments,
    run=_run,
)
