"""Model signatures by keys and by certificates: which are taken, and why the others are not."""

from __future__ import annotations

import base64
import datetime
import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.signers import START, YEAR, certified, key_pair

from hf_pack.adapters.signing.keys import CertificateVerifier, KeySigner, KeyVerifier
from hf_pack.adapters.signing.trusted import bundle_verifier
from hf_pack.api.proofs import read_signature
from hf_pack.errors import PolicyError, UsageError
from hf_pack.expressions import model_signature
from hf_pack.expressions.model_signature import SignedModel
from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath

PAYLOAD = '{"name": "é"}'.encode()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_a_key_signs_and_its_public_half_verifies(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    pair = key_pair(tmp_path, curve=curve)
    bundle = KeySigner(pair.private, (), None).sign(PAYLOAD)
    verifier = bundle_verifier(str(pair.public))
    assert isinstance(verifier, KeyVerifier)
    assert verifier.payload(bundle) == PAYLOAD


def test_the_bundle_of_a_model_of_many_files_is_read_whole(tmp_path: Path) -> None:
    pair, bundle = key_pair(tmp_path), tmp_path / "bundle.sig"
    files = {f"shards/{number:05}.bin": Hash.sha256_of(b"x") for number in range(20_000)}
    store_path = StorePath.parse(f"/nix/store/{'0' * 32}-many-1.0.0+0000000")
    bundle.write_bytes(KeySigner(pair.private, (), None).sign(model_signature.statement("many", files, store_path)))
    assert bundle.stat().st_size > 3 << 20
    signed = read_signature(bundle, [str(pair.public)], workspace=tmp_path)
    assert isinstance(signed, SignedModel) and (signed.store_path, len(signed.files)) == (store_path, 20_000)


def test_another_key_and_another_text_are_refused(tmp_path: Path) -> None:
    pair, other = key_pair(tmp_path), key_pair(tmp_path, "other")
    bundle = KeySigner(pair.private, (), None).sign(PAYLOAD)
    with pytest.raises(PolicyError, match="another key signed it"):
        KeyVerifier(other.public.read_bytes(), "other").payload(bundle)
    document = json.loads(bundle)
    document["verificationMaterial"]["publicKey"]["hint"] = ""  # a hint proves nothing
    with pytest.raises(PolicyError, match="not that of the key"):
        KeyVerifier(other.public.read_bytes(), "other").payload(json.dumps(document).encode())
    document = json.loads(bundle)
    document["dsseEnvelope"]["payload"] = "e30="
    with pytest.raises(PolicyError, match="not of this text"):
        KeyVerifier(pair.public.read_bytes(), "key").payload(json.dumps(document).encode())
    with pytest.raises(PolicyError, match="no bundle"):
        KeyVerifier(pair.public.read_bytes(), "key").payload(b"{}")


def test_a_key_with_a_password(tmp_path: Path) -> None:
    pair = key_pair(tmp_path, password=b"hunter2")
    with pytest.raises(UsageError, match="it is encrypted") as caught:
        KeySigner(pair.private, (), None)
    assert "HF_PACK_KEY_PASSWORD" in caught.value.hint
    with pytest.raises(UsageError, match="its password is another") as caught:
        KeySigner(pair.private, (), b"hunter3")
    assert "hunter" not in caught.value.message
    bundle = KeySigner(pair.private, (), b"hunter2").sign(PAYLOAD)
    assert KeyVerifier(pair.public.read_bytes(), "key").payload(bundle) == PAYLOAD


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    file = tmp_path / "rsa.key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, match="expected an elliptic curve key"):
        KeySigner(file, (), None)
    with pytest.raises(UsageError, match=r"P-256, P-384 or P-521, found secp256k1"):
        KeySigner(key_pair(tmp_path, curve=ec.SECP256K1()).private, (), None)
    usual = key_pair(tmp_path).key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    odd = usual.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030103"))  # P-256, prime192v3
    text = base64.encodebytes(odd).decode()
    file.write_text(f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n")
    with pytest.raises(UsageError, match="of a kind that cannot be used"):
        KeySigner(file, (), None)
    with pytest.raises(UsageError, match="no private key"):
        KeySigner(key_pair(tmp_path).public, (), None)
    with pytest.raises(UsageError, match="No such file"):
        KeySigner(tmp_path / "none", (), None)


def test_a_chain_of_certificates_leads_to_a_trusted_one(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True)
    middle = certified(tmp_path, "middle", root, authority=True)
    leaf = certified(tmp_path, "leaf", middle)
    bundle = KeySigner(leaf.pair.private, (leaf.file, middle.file), None).sign(PAYLOAD)
    verifier = bundle_verifier(str(root.file))
    assert isinstance(verifier, CertificateVerifier)
    assert verifier.payload(bundle) == PAYLOAD
    stranger = certified(tmp_path, "stranger", authority=True)
    with pytest.raises(PolicyError, match="does not lead to one that is trusted"):
        CertificateVerifier(stranger.file.read_bytes(), "stranger").payload(bundle)
    without = KeySigner(leaf.pair.private, (leaf.file,), None).sign(PAYLOAD)
    with pytest.raises(PolicyError, match="does not lead to one that is trusted"):
        verifier.payload(without)
    with pytest.raises(PolicyError, match="not by a key alone"):
        KeyVerifier(leaf.pair.public.read_bytes(), "leaf").payload(bundle)
    with pytest.raises(PolicyError, match="without certificates"):
        verifier.payload(KeySigner(leaf.pair.private, (), None).sign(PAYLOAD))


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True)
    leaf = certified(tmp_path, "leaf", root)
    document = json.loads(KeySigner(leaf.pair.private, (leaf.file,), None).sign(PAYLOAD))
    document["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"] = "AAAA"
    with pytest.raises(PolicyError, match="cannot be read"):
        CertificateVerifier(root.file.read_bytes(), "root").payload(json.dumps(document).encode())
    for pem in (b"-----BEGIN CERTIFICATE-----", b""):
        with pytest.raises(UsageError, match="no certificate in PEM"):
            CertificateVerifier(pem, "root.pem")


def test_who_may_not_certify_does_not(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True)
    verifier = CertificateVerifier(root.file.read_bytes(), "root")
    for name, authority, signs in (("no-authority", False, True), ("no-signing", True, False)):
        middle = certified(tmp_path, name, root, authority=authority, signs=signs)
        leaf = certified(tmp_path, f"{name}-leaf", middle)
        bundle = KeySigner(leaf.pair.private, (leaf.file, middle.file), None).sign(PAYLOAD)
        with pytest.raises(PolicyError, match="does not lead to one that is trusted"):
            verifier.payload(bundle)


def test_a_certificate_that_is_not_for_signing_is_refused(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True)
    verifier = CertificateVerifier(root.file.read_bytes(), "root")
    useless = certified(tmp_path, "useless", root, signs=False)
    with pytest.raises(PolicyError, match="not for signing"):
        verifier.payload(KeySigner(useless.pair.private, (useless.file,), None).sign(PAYLOAD))
    code = certified(tmp_path, "code", root, signs=False, code_signing=True)
    assert verifier.payload(KeySigner(code.pair.private, (code.file,), None).sign(PAYLOAD)) == PAYLOAD


def test_certificates_must_hold_when_the_signing_one_began(tmp_path: Path) -> None:
    root = certified(tmp_path, "root", authority=True, length=YEAR)
    verifier = CertificateVerifier(root.file.read_bytes(), "root")
    within = certified(tmp_path, "within", root, start=START + datetime.timedelta(days=1))
    assert verifier.payload(KeySigner(within.pair.private, (within.file,), None).sign(PAYLOAD)) == PAYLOAD
    later = certified(tmp_path, "later", root, start=START + 2 * YEAR)
    with pytest.raises(PolicyError, match="does not lead to one that is trusted"):
        verifier.payload(KeySigner(later.pair.private, (later.file,), None).sign(PAYLOAD))


def test_a_certificate_of_another_key_is_not_signed_with(tmp_path: Path) -> None:
    leaf = certified(tmp_path, "leaf")
    with pytest.raises(UsageError, match="not that of the key"):
        KeySigner(key_pair(tmp_path).private, (leaf.file,), None)


def test_without_the_library_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = key_pair(tmp_path)
    for name in [name for name in sys.modules if name.startswith(("cryptography", "sigstore"))]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("cryptography", "sigstore"):
        monkeypatch.setitem(sys.modules, name, None)
    for make in (lambda: KeySigner(pair.private, (), None), lambda: bundle_verifier(str(pair.public))):
        with pytest.raises(UsageError) as caught:
            make()
        assert caught.value.hint == "pip install 'hf-pack[sign]'"
    with pytest.raises(UsageError) as caught:
        bundle_verifier("sigstore:https://issuer.example#a@example.org")
    assert caught.value.hint == "pip install 'hf-pack[sigstore]'"


def test_keys_in_nix_s_form_are_not_for_bundles(tmp_path: Path) -> None:
    assert bundle_verifier("cache.example.org-1:AAAA") is None
    file = tmp_path / "nix.public"
    file.write_text("cache.example.org-1:AAAA")
    assert bundle_verifier(str(file)) is None
    assert bundle_verifier("sigstore:AAAA") is None
