"""Signatures by elliptic curve keys (P-256, P-384, P-521), with a chain of certificates or without.

A certificate must be good when it began to hold: a bundle does not say when it was made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hf_pack.adapters.signing.extra import from_extra
from hf_pack.errors import PolicyError, UsageError
from hf_pack.formats.dsse import MOST_SIZE, Bundle, Signer, signed_text
from hf_pack.formats.format_error import FormatError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

MAKE_A_KEY = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out model.key"
_PEM_KEY = b"-----BEGIN PUBLIC KEY-----"
_PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class KeySigner:
    """Implements :class:`hf_pack.ports.BundleSigner`."""

    def __init__(self, key: Path, certificates: Sequence[Path], password: bytes | None) -> None:
        """``certificates`` are files of the signing certificate, then those that lead from it to a root.

        Raises UsageError for what is no key or certificate, or where they do not belong together.
        """
        with from_extra("sign", "signing with a key"):
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import ec
        try:
            found = serialization.load_pem_private_key(read(key), password)
        except TypeError:
            needed = "it is encrypted" if password is None else "it is not encrypted, and there is a password"
            raise UsageError(f"{key}: {needed}", hint="HF_PACK_KEY_PASSWORD holds the password") from None
        except ValueError:
            raise UsageError(f"{key} is no private key in PEM, or its password is another", hint=MAKE_A_KEY) from None
        except UnsupportedAlgorithm as error:
            raise UsageError(f"{key}: a key of a kind that cannot be used: {error}", hint=MAKE_A_KEY) from None
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise UsageError(f"{key}: expected an elliptic curve key, found another kind", hint=MAKE_A_KEY)
        self._key = found
        self._algorithm = _algorithm(found.public_key(), str(key))
        self._chain = [certificate for path in certificates for certificate in _certificates(read(path), str(path))]
        if self._chain and self._chain[0].public_key() != found.public_key():
            raise UsageError(f"{certificates[0]}: the first certificate is not that of the key {key}")

    def sign(self, payload: bytes) -> bytes:
        """See :class:`hf_pack.ports.BundleSigner`."""
        from cryptography.hazmat.primitives.serialization import Encoding

        bundle = Bundle(
            payload=payload,
            signature=self._key.sign(signed_text(payload), self._algorithm),
            signer=Signer.CERTIFICATE if self._chain else Signer.KEY,
            key_hint="" if self._chain else _hint(self._key.public_key()),
            certificates=tuple(certificate.public_bytes(Encoding.DER) for certificate in self._chain),
        )
        return bundle.format()


class KeyVerifier:
    """Implements :class:`hf_pack.ports.BundleVerifier` with a public key."""

    def __init__(self, pem: bytes, name: str) -> None:
        """Raises UsageError for what is no elliptic curve key."""
        with from_extra("sign", "a model's signature"):
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric import ec
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError(f"{name} is no public key in PEM", hint="openssl pkey -in KEY -pubout") from None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise UsageError(f"{name}: expected an elliptic curve key, found another kind", hint=MAKE_A_KEY)
        _algorithm(key, name)
        self.name = name
        self._key = key

    def payload(self, bundle: bytes) -> bytes:
        """See :class:`hf_pack.ports.BundleVerifier`."""
        found = parsed(bundle)
        if found.signer is not Signer.KEY:
            raise PolicyError(f"it is signed with a {found.signer}, not by a key alone")
        if found.key_hint and found.key_hint != _hint(self._key):
            raise PolicyError("another key signed it")
        return _payload(found, self._key, self.name)


class CertificateVerifier:
    """Implements :class:`hf_pack.ports.BundleVerifier` with certificates of whom is trusted to certify keys."""

    def __init__(self, pem: bytes, name: str) -> None:
        """Raises UsageError for what is no certificate."""
        with from_extra("sign", "a model's signature"):
            import cryptography  # noqa: F401
        self.name = name
        self._roots = _certificates(pem, name)

    def payload(self, bundle: bytes) -> bytes:
        """See :class:`hf_pack.ports.BundleVerifier`."""
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec

        found = parsed(bundle)
        if found.signer is not Signer.CERTIFICATE:
            raise PolicyError(f"it is signed by a {found.signer}, without certificates")
        try:
            leaf, *others = [x509.load_der_x509_certificate(data) for data in found.certificates]
            _require_chain(leaf, others, self._roots)
            _require_signing_use(leaf)
            key = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
            raise PolicyError("a certificate in it cannot be read") from None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise PolicyError("the certificate is not of an elliptic curve key")
        return _payload(found, key, "the certificate")


def verifier_in(text: bytes, name: str) -> KeyVerifier | CertificateVerifier | None:
    """Who a PEM file says is trusted; None for a file of another kind. Raises UsageError."""
    if _PEM_CERTIFICATE in text:
        return CertificateVerifier(text, name)
    return KeyVerifier(text, name) if _PEM_KEY in text else None


def read(path: Path) -> bytes:
    """The bytes of a file of keys or certificates, or of a bundle. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_SIZE)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a file that is there") from None


def parsed(bundle: bytes) -> Bundle:
    """Read a bundle. Raises PolicyError."""
    try:
        return Bundle.parse(bundle)
    except FormatError as error:
        raise PolicyError(f"it is no bundle of Sigstore: {error}") from None


def _payload(bundle: Bundle, key: ec.EllipticCurvePublicKey, name: str) -> bytes:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bundle.signature, bundle.signed_text, _algorithm(key, name))
    except UsageError as error:
        raise PolicyError(error.message) from None
    except InvalidSignature:
        raise PolicyError("the signature is not that of the key, or not of this text") from None
    return bundle.payload


def _algorithm(key: ec.EllipticCurvePublicKey, where: str) -> ec.ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    by_curve = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    if key.curve.name not in by_curve:
        raise UsageError(f"{where}: expected the curve P-256, P-384 or P-521, found {key.curve.name}", hint=MAKE_A_KEY)
    return ec.ECDSA(by_curve[key.curve.name])


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _certificates(pem: bytes, where: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UsageError(f"{where} holds no certificate in PEM") from None


def _require_chain(leaf: x509.Certificate, others: list[x509.Certificate], roots: list[x509.Certificate]) -> None:
    """Raises PolicyError unless the certificates lead to a root."""
    from cryptography import x509
    from cryptography.x509 import verification as path

    def may_certify(_policy: path.Policy, _certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
        if not found.ca:
            raise ValueError("it may not certify others")

    def may_sign_certificates(
        _policy: path.Policy, _certificate: x509.Certificate, found: x509.KeyUsage | None
    ) -> None:
        if found is not None and not found.key_cert_sign:
            raise ValueError("its key may not sign certificates")

    either = path.Criticality.AGNOSTIC
    authority = (
        path.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either, may_certify)
        .may_be_present(x509.KeyUsage, either, may_sign_certificates)
    )
    verifier = (
        path.PolicyBuilder()
        .store(path.Store(roots))
        .time(leaf.not_valid_before_utc)
        .extension_policies(ca_policy=authority, ee_policy=path.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, others)
    except path.VerificationError as error:
        raise PolicyError(f"its certificate does not lead to one that is trusted: {error}") from None


def _require_signing_use(leaf: x509.Certificate) -> None:
    from cryptography import x509

    try:
        if leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return
    except x509.ExtensionNotFound:
        pass
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in uses:
            return
    except x509.ExtensionNotFound:
        pass
    raise PolicyError("its certificate is not for signing: neither digitalSignature nor codeSigning")
