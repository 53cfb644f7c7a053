"""Keys and signatures of store objects, in Nix's text forms.

All are ``<name>:<base 64>``: a public key holds 32 bytes, a secret key 64 (seed, then public key), a
signature 64. The name says which key to look for and is not part of what is signed; it has no colon and
no white space, and by custom is a host name with a number: ``cache.example.org-1``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from hf_pack.formats import ed25519
from hf_pack.formats.format_error import FormatError

_KEY_NAME = re.compile(r"[!-9;-~]+")  # printable ASCII without space and colon


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A named Ed25519 public key of 32 bytes; ``format`` and ``parse`` are inverse."""

    name: str
    key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.key) != ed25519.PUBLIC_KEY_SIZE:
            raise FormatError(f"a public key has {ed25519.PUBLIC_KEY_SIZE} bytes, not {len(self.key)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``<name>:<base 64 of 32 bytes>``; raises ``FormatError``."""
        return cls(*_split(text, "a public key"))

    def format(self) -> str:
        """Return the text of the key, as in Nix's setting ``trusted-public-keys``."""
        return _join(self.name, self.key)

    def verify(self, fingerprint: str, signature: str) -> bool:
        """Say whether ``signature`` (``<name>:<base 64>``) is this key's for ``fingerprint``.

        One of another name, or that is not in the form of a signature at all, is not.
        """
        try:
            name, data = _split(signature, "a signature")
        except FormatError:
            return False
        return name == self.name and ed25519.verify(self.key, fingerprint.encode(), data)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A named Ed25519 key that signs; the 32-byte ``seed`` is the secret and is kept out of ``repr``."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.seed) != ed25519.SEED_SIZE:
            raise FormatError(f"the seed of a key has {ed25519.SEED_SIZE} bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls, seed: bytes, name: str) -> Self:
        """Return the key made of 32 random bytes, which come from outside; raises ``FormatError``."""
        return cls(name, seed)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key file: ``<name>:<base 64 of seed and public key>``, with or without a line end.

        Raises ``FormatError``, also when the public key is not that of the seed. No message quotes the
        secret.
        """
        name, data = _split(text.strip(), "a secret key")
        if len(data) != ed25519.SEED_SIZE + ed25519.PUBLIC_KEY_SIZE:
            raise FormatError(f"the secret key {name!r} has {len(data)} bytes, not 64")
        key = cls(name, data[: ed25519.SEED_SIZE])
        if ed25519.public_key(key.seed) != data[ed25519.SEED_SIZE :]:
            raise FormatError(f"the secret key {name!r} does not hold its own public key")
        return key

    def format(self) -> str:
        """Return the text of the key file, without a line end, as ``nix key generate-secret`` writes it."""
        return _join(self.name, self.seed + self.public_key().key)

    def public_key(self) -> PublicKey:
        """Return the public half, which others need to verify."""
        return PublicKey(self.name, ed25519.public_key(self.seed))

    def sign(self, fingerprint: str) -> str:
        """Return ``<name>:<base 64>``; the same for the same fingerprint, always."""
        return _join(self.name, ed25519.sign(self.seed, fingerprint.encode()))


def verify(fingerprint: str, signatures: Iterable[str], keys: Iterable[PublicKey]) -> bool:
    """Say whether one of the ``signatures`` is that of one of the ``keys`` for ``fingerprint``."""
    keys = tuple(keys)
    return any(key.verify(fingerprint, signature) for signature in signatures for key in keys)


def _check_name(name: str) -> None:
    if not _KEY_NAME.fullmatch(name):
        raise FormatError(f"not the name of a key: {name[:100]!r}")


def _join(name: str, data: bytes) -> str:
    return f"{name}:{base64.b64encode(data).decode('ascii')}"


def _split(text: str, what: str) -> tuple[str, bytes]:
    name, separator, encoded = text.partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        separator = ""
    if not separator:
        raise FormatError(f"{what} is '<name>:<base 64>'")
    return name, data
