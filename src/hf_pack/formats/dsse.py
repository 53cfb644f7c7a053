"""Signed statements: an envelope of DSSE (protocol 1.0) in a bundle of Sigstore (JSON, version 0.3).

The payload is an in-toto statement. Who signed it stands beside it: a hint which key, a chain of certificates, or what
Sigstore's own service gave, which its library alone reads.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hf_pack.formats.format_error import FormatError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MOST_SIZE = 16 << 20  #: bytes of a bundle that are read: some 80,000 files


class Signer(StrEnum):
    """What a bundle says of who signed it."""

    KEY = "key"
    CERTIFICATE = "certificate"
    SIGSTORE = "sigstore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One signature of one payload; ``format`` and ``parse`` are inverse but for ``signer`` Sigstore, not written here.

    ``key_hint`` is the sha256 (hex) of the public key's PEM text; ``certificates`` are DER, the signing one first.
    """

    payload: bytes
    signature: bytes
    signer: Signer
    key_hint: str = ""
    certificates: tuple[bytes, ...] = ()

    @property
    def signed_text(self) -> bytes:
        """What the signature covers."""
        return signed_text(self.payload)

    def format(self) -> bytes:
        """The JSON text, as the reference implementation orders it."""
        if self.signer is Signer.CERTIFICATE:
            chain = [{"rawBytes": _encoded(certificate)} for certificate in self.certificates]
            material: dict[str, object] = {"x509CertificateChain": {"certificates": chain}}
        else:
            material = {"publicKey": {"hint": self.key_hint}}
        document = {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {**material, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _encoded(self.payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": _encoded(self.signature), "keyid": ""}],
            },
        }
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read a bundle; nothing is verified. Raises ``FormatError``."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise FormatError("not JSON") from None
        top = _object(document, "the bundle")
        media_type = top.get("mediaType")
        if media_type != MEDIA_TYPE:
            raise FormatError(f"mediaType: expected {MEDIA_TYPE}, found {str(media_type)[:100]!r}")
        envelope = _object(top.get("dsseEnvelope"), "dsseEnvelope")
        if envelope.get("payloadType") != PAYLOAD_TYPE:
            raise FormatError(f"payloadType: expected {PAYLOAD_TYPE}, found {str(envelope.get('payloadType'))[:100]!r}")
        signatures = envelope.get("signatures")
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise FormatError("dsseEnvelope.signatures: expected one signature")
        material = _object(top.get("verificationMaterial"), "verificationMaterial")
        signer, key_hint, certificates = _signer(material)
        return cls(
            payload=_decoded(envelope.get("payload"), "dsseEnvelope.payload"),
            signature=_decoded(_object(signatures[0], "a signature").get("sig"), "dsseEnvelope.signatures[0].sig"),
            signer=signer,
            key_hint=key_hint,
            certificates=certificates,
        )


def signed_text(payload: bytes) -> bytes:
    """The pre-authentication encoding of an in-toto statement: what a signature of DSSE covers."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _signer(material: Mapping[str, object]) -> tuple[Signer, str, tuple[bytes, ...]]:
    if "publicKey" in material:
        hint = _object(material["publicKey"], "verificationMaterial.publicKey").get("hint")
        return Signer.KEY, hint if isinstance(hint, str) else "", ()
    if "x509CertificateChain" in material:
        where = "verificationMaterial.x509CertificateChain"
        chain = _object(material["x509CertificateChain"], where).get("certificates")
        if not isinstance(chain, list) or not chain:
            raise FormatError(f"{where}.certificates: expected one or more")
        found = (_decoded(_object(one, where).get("rawBytes"), f"{where}.rawBytes") for one in chain)
        return Signer.CERTIFICATE, "", tuple(found)
    if "certificate" in material:
        return Signer.SIGSTORE, "", ()
    raise FormatError("verificationMaterial: expected publicKey, x509CertificateChain or certificate")


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FormatError(f"{where}: expected an object")
    return value


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except ValueError:
        raise FormatError(f"{where}: expected base 64") from None
