"""Signatures of Sigstore's public service, through its own library: a certificate of minutes for a proven identity, and
an entry in a public log. Both ways ask the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hf_pack.adapters.signing.extra import from_extra
from hf_pack.errors import HubError, PolicyError, UsageError

PREFIX = "sigstore:"


class SigstoreSigner:
    """Implements :class:`hf_pack.ports.BundleSigner`: who this is, the environment (CI) says, else the browser."""

    def __init__(self) -> None:
        """Raises UsageError when the library is not installed."""
        with from_extra("sigstore", "signing with Sigstore"):
            import sigstore  # noqa: F401

    def sign(self, payload: bytes) -> bytes:
        """See :class:`hf_pack.ports.BundleSigner`."""
        from sigstore.dsse import Statement
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken, Issuer, detect_credential
        from sigstore.sign import SigningContext

        with _as_hub_error():
            service = ClientTrustConfig.production()
            found = detect_credential()
            token = (
                Issuer(service.signing_config.get_oidc_url()).identity_token()
                if found is None
                else IdentityToken(found)
            )
            with SigningContext.from_trust_config(service).signer(token) as signer:
                return signer.sign_dsse(Statement(payload)).to_json().encode()


class SigstoreVerifier:
    """Implements :class:`hf_pack.ports.BundleVerifier` with an identity, as one issuer proves it."""

    def __init__(self, text: str) -> None:
        """``sigstore:ISSUER#IDENTITY``. Raises UsageError for another form, or when the library is not installed."""
        with from_extra("sigstore", "a signature by Sigstore"):
            import sigstore  # noqa: F401
        issuer, separator, identity = text.removeprefix(PREFIX).partition("#")
        if not (separator and issuer.startswith("https://") and identity):
            raise UsageError(
                f"no identity of Sigstore: {text[:200]!r}",
                hint="sigstore:https://token.actions.githubusercontent.com#https://github.com/ORG/REPO/…",
            )
        self.name = text
        self._issuer, self._identity = issuer, identity

    def payload(self, bundle: bytes) -> bytes:
        """See :class:`hf_pack.ports.BundleVerifier`."""
        from sigstore.errors import VerificationError
        from sigstore.models import Bundle, InvalidBundle
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity

        try:
            signed = Bundle.from_json(bundle)
        except (InvalidBundle, ValueError):
            raise PolicyError("it is no bundle that Sigstore made") from None
        with _as_hub_error():
            verifier = Verifier.production()
        try:
            return verifier.verify_dsse(signed, Identity(identity=self._identity, issuer=self._issuer))[1]
        except VerificationError as error:
            raise PolicyError(f"Sigstore does not verify it: {error}") from None


@contextmanager
def _as_hub_error() -> Iterator[None]:
    from sigstore.errors import Error
    from sigstore.oidc import IssuerError

    try:
        yield
    except (Error, IssuerError, OSError) as error:
        raise HubError(
            f"Sigstore's service cannot be used: {error}", hint="sign with a key: hf-pack sign --key FILE"
        ) from None
