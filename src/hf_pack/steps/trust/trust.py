"""Whose signatures count, and what they are on: a name's entry and the object in Nix's form, or a bundle for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hf_pack.errors import PolicyError, UsageError
from hf_pack.expressions import model_signature
from hf_pack.expressions.model_signature import SignedModel, SignedProvenance
from hf_pack.formats.dsse import MOST_SIZE, Bundle
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.signing import PublicKey
from hf_pack.formats.store_path import StorePath
from hf_pack.model.published import signature_key
from hf_pack.model.signature_policy import SignaturePolicy
from hf_pack.ports import BundleVerifier, ObjectCache

Signed: TypeAlias = SignedModel | SignedProvenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """``keys`` are in Nix's form, ``verifiers`` know a model's signature: one good signature of either kind counts."""

    keys: tuple[PublicKey, ...] = ()
    verifiers: tuple[BundleVerifier, ...] = ()
    policy: SignaturePolicy = SignaturePolicy.WARN

    @property
    def required(self) -> bool:
        """Whether only what is signed may be taken."""
        return self.policy is SignaturePolicy.ENFORCE


def signed_statement(bundle: bytes, verifiers: Sequence[BundleVerifier]) -> Signed:
    """What one of the verifiers signed. Raises PolicyError with the reason of each."""
    reasons = []
    for verifier in verifiers:
        try:
            return model_signature.parse(verifier.payload(bundle))
        except PolicyError as error:
            reasons.append(f"\n  {verifier.name}: {error.message}")
        except FormatError as error:
            raise PolicyError(f"what was signed cannot be compared: {error}") from None
    raise PolicyError("nobody trusted made the signature" + "".join(reasons))


def refusal(store_path: StorePath, cache: ObjectCache, trust: Trust) -> str | None:
    """Why the bundle that a cache keeps for a package does not vouch for it; None when it does. One request."""
    bundle = cache.storage.small(signature_key(store_path), MOST_SIZE) if trust.verifiers else None
    return refusal_of(store_path, bundle, trust)


def refusal_of(store_path: StorePath, bundle: bytes | None, trust: Trust) -> str | None:
    """Why a bundle, None where there is none, does not vouch for a package; None when it does."""
    if not trust.verifiers:
        return "no key for a model's signature is trusted"
    if bundle is None:
        return "no model signature is there"
    try:
        found = signed_statement(bundle, trust.verifiers)
    except PolicyError as error:
        return error.message
    if isinstance(found, SignedModel) and found.store_path == store_path:
        return None
    return "its model signature is of something else"


def require_about(bundle: bytes, store_path: StorePath, where: str, hint: str) -> None:
    """Raise unless the bundle is a model signature of this package; who made it is not asked.

    Raises UsageError for what is no model signature, PolicyError for one of something else.
    """
    try:
        signed = model_signature.parse(Bundle.parse(bundle).payload)
    except FormatError as error:
        raise UsageError(f"{where} is no model signature: {error}", hint=hint) from None
    if not isinstance(signed, SignedModel) or signed.store_path != store_path:
        found = signed.store_path if isinstance(signed, SignedModel) else "a statement of provenance"
        raise PolicyError(
            f"{where} is not the signature of what is published\n"
            f"  expected {store_path}, found {found or 'files without a package'}",
            hint=hint,
        )
