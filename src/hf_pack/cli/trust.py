"""Options that say whose signatures count."""

from __future__ import annotations

import argparse


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
