"""Options that say whose signatures count."""

from __future__ import annotations

import argparse

from hf_pack.model.signature_policy import SignaturePolicy


def trust_arguments(parser: argparse.ArgumentParser) -> None:
    """``--trusted-key KEY``."""
    parser.add_argument(
        "--trusted-key",
        dest="trusted_keys",
        metavar="KEY",
        action="append",
        help="whose signatures count: NAME:BASE64 or its file, a PEM file of a public key or of certificates, or "
        "sigstore:ISSUER#IDENTITY; may be repeated; adds to $HF_PACK_TRUSTED_KEYS and hf-pack.toml",
    )


def policy_argument(parser: argparse.ArgumentParser) -> None:
    """``--signatures POLICY``."""
    parser.add_argument(
        "--signatures",
        choices=[policy.value for policy in SignaturePolicy],
        help="off: none is checked; warn: a note where a name has no good one; enforce: only what somebody trusted "
        "signed is taken (default: policy.signatures in hf-pack.toml, else warn)",
    )


def signature_policy(arguments: argparse.Namespace) -> SignaturePolicy | None:
    """The policy that was asked for; None for the workspace's."""
    return None if arguments.signatures is None else SignaturePolicy(arguments.signatures)
