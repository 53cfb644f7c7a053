"""Envelopes and bundles of signed statements."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from hf_pack.formats.dsse import Bundle, Signer, signed_text
from hf_pack.formats.format_error import FormatError

KEY = Bundle(payload=b'{"a": 1}', signature=b"\x30\x01", signer=Signer.KEY, key_hint="ab" * 32)
CHAIN = Bundle(payload=b"{}", signature=b"s", signer=Signer.CERTIFICATE, certificates=(b"leaf", b"other"))


def document(bundle: Bundle = KEY) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.format())
    return found


def parsed(value: object) -> Bundle:
    return Bundle.parse(json.dumps(value).encode())


def test_a_signature_covers_type_and_length_and_payload() -> None:
    # DSSE 1.0, protocol.md: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
    assert signed_text("é\n".encode()) == b"DSSEv1 28 application/vnd.in-toto+json 3 \xc3\xa9\n"
    assert signed_text(b"") == b"DSSEv1 28 application/vnd.in-toto+json 0 "


@pytest.mark.parametrize("bundle", [KEY, CHAIN])
def test_format_and_parse_are_inverse(bundle: Bundle) -> None:
    assert Bundle.parse(bundle.format()) == bundle


def test_a_bundle_of_sigstore_says_so() -> None:
    found = document()
    found["verificationMaterial"] = {"certificate": {"rawBytes": "AA=="}, "tlogEntries": [{}]}
    assert parsed(found).signer is Signer.SIGSTORE


def test_what_is_no_bundle_says_where() -> None:
    for text, problem in ((b"\xff", "not JSON"), (b"[]", "expected an object"), (b"[" * 100_000, "not JSON")):
        with pytest.raises(FormatError, match=problem):
            Bundle.parse(text)
    changes: list[tuple[tuple[str, ...], object, str]] = [
        (("mediaType",), "application/vnd.dev.sigstore.bundle+json;version=0.1", "mediaType: expected"),
        (("dsseEnvelope",), None, "dsseEnvelope: expected an object"),
        (("dsseEnvelope", "payloadType"), "text/plain", "payloadType: expected"),
        (("dsseEnvelope", "payload"), "!", "payload: expected base 64"),
        (("dsseEnvelope", "payload"), 7, "payload: expected base 64"),
        (("dsseEnvelope", "payload"), "é", "payload: expected base 64"),
        (("dsseEnvelope", "signatures"), [], "expected one signature"),
        (("dsseEnvelope", "signatures"), [{"sig": "AA=="}] * 2, "expected one signature"),
        (("dsseEnvelope", "signatures"), ["AA=="], "a signature: expected an object"),
        (("verificationMaterial",), {}, "expected publicKey, x509CertificateChain or certificate"),
        (("verificationMaterial",), {"x509CertificateChain": {"certificates": []}}, "expected one or more"),
    ]
    for path, value, problem in changes:
        found = document()
        place = found
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises(FormatError, match=problem):
            parsed(found)


def test_the_payload_is_carried_byte_for_byte() -> None:
    odd = b'{"b" :1,\n "a":"\\u00e9"}'
    found = document(Bundle(payload=odd, signature=b"s", signer=Signer.KEY))
    assert base64.b64decode(found["dsseEnvelope"]["payload"]) == odd
