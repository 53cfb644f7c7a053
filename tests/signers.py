"""Keys and certificates for model signatures, made for one test."""

from __future__ import annotations

import datetime
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)


@dataclass(frozen=True)
class KeyPair:
    """``private`` and ``public`` are PEM files."""

    key: ec.EllipticCurvePrivateKey
    private: Path
    public: Path


def key_pair(
    directory: Path, name: str = "model", curve: ec.EllipticCurve | None = None, password: bytes | None = None
) -> KeyPair:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    private, public = directory / f"{name}.key", directory / f"{name}.pub"
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return KeyPair(key, private, public)


@dataclass(frozen=True)
class Certified:
    """A key with its certificate, a PEM file."""

    pair: KeyPair
    certificate: x509.Certificate
    file: Path


def certified(
    directory: Path,
    name: str,
    issuer: Certified | None = None,
    *,
    authority: bool = False,
    signs: bool = True,
    code_signing: bool = False,
    start: datetime.datetime = START,
    length: datetime.timedelta = 10 * YEAR,
) -> Certified:
    """A certificate by ``issuer``, or by itself; ``signs``: its key may sign, certificates where it is an authority."""
    pair = key_pair(directory, name)
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=signs and not authority,
        key_cert_sign=signs and authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own if issuer is None else issuer.certificate.subject)
        .public_key(pair.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + length)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    if code_signing:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    certificate = builder.sign((pair if issuer is None else issuer.pair).key, hashes.SHA256())
    file = directory / f"{name}.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Certified(pair, certificate, file)


def model_signing(*arguments: str | Path, code: int = 0) -> str:
    """Run the tool as its users do; returns what it says."""
    done = subprocess.run([sys.executable, "-m", "model_signing", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr
