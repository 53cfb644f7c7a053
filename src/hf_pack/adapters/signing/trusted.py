"""Whom a person trusts to sign, other than by a key in Nix's form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_pack.adapters.signing import keys, sigstore_service
from hf_pack.user_path import user_path

if TYPE_CHECKING:
    from hf_pack.ports import BundleVerifier


def bundle_verifier(text: str) -> BundleVerifier | None:
    """The verifier for a PEM file of a public key or of certificates, or for ``sigstore:ISSUER#IDENTITY``.

    None for what is neither. Raises UsageError.
    """
    if text.startswith(f"{sigstore_service.PREFIX}https://"):
        return sigstore_service.SigstoreVerifier(text)
    if ":" in text:
        return None
    return keys.verifier_in(keys.read(user_path(text)), text)
