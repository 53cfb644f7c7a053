"""A hash with its algorithm, in every text form that Nix reads and writes.

============  ==============================  ====================================================
form          text                            where Nix uses it
============  ==============================  ====================================================
base 16       ``sha256:<hex>``, ``<hex>``     store database, worker protocol, ``nix-hash``
nix32         ``sha256:<nix32>``, ``<nix32>`` narinfo, content addresses, fingerprints
base 64       ``sha256:<base64>``             command lines
SRI           ``sha256-<base64>``             expressions, ``nix hash``, JSON
============  ==============================  ====================================================

Round trips: ``Hash.parse`` reads back what ``nix_text``, ``hex_text`` and ``sri`` write, and, given the
algorithm, what ``hex``, ``nix32`` and ``base64`` write.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hf_pack.formats import nix32
from hf_pack.formats.format_error import FormatError

_HEX = re.compile(r"[0-9A-Fa-f]*")


class HashAlgorithm(StrEnum):
    """The algorithms that Nix knows for content addresses."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"

    @property
    def digest_size(self) -> int:
        """The length of a digest in bytes."""
        return _DIGEST_SIZES[self]


_DIGEST_SIZES = {
    HashAlgorithm.MD5: 16,
    HashAlgorithm.SHA1: 20,
    HashAlgorithm.SHA256: 32,
    HashAlgorithm.SHA512: 64,
}


@dataclass(frozen=True, slots=True, order=True)
class Hash:
    """An algorithm and a digest of exactly its size in bytes; another size raises ``FormatError``."""

    algorithm: HashAlgorithm
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) != self.algorithm.digest_size:
            expected = self.algorithm.digest_size
            raise FormatError(f"a {self.algorithm} digest has {expected} bytes, not {len(self.digest)}")

    @classmethod
    def parse(cls, text: str, algorithm: HashAlgorithm | None = None) -> Self:
        """Read any of the text forms above; which one it is follows from its length.

        ``algorithm`` is needed for text without a prefix and must agree with a prefix where there is one.
        Hexadecimal digits may be of either case; base 64 is padded and canonical. Raises ``FormatError``.
        """
        separator = re.search("[:-]", text)
        rest = text
        if separator is not None:
            rest = text[separator.end() :]
            try:
                stated = HashAlgorithm(text[: separator.start()])
            except ValueError:
                raise FormatError(f"unknown hash algorithm in {text[:100]!r}") from None
            if algorithm is not None and stated != algorithm:
                raise FormatError(f"expected a {algorithm} hash, found {text[:100]!r}")
            algorithm = stated
        if algorithm is None:
            raise FormatError(f"a hash without its algorithm: {text[:100]!r}")
        size = algorithm.digest_size
        is_sri = separator is not None and separator.group() == "-"
        if is_sri or len(rest) == _base64_length(size):
            return cls(algorithm, _decode_base64(rest))
        if len(rest) == size * 2:
            return cls(algorithm, _decode_hex(rest))
        if len(rest) == nix32.encoded_length(size):
            return cls(algorithm, nix32.decode(rest))
        raise FormatError(f"no form of a {algorithm} hash has {len(rest)} characters: {text[:100]!r}")

    @classmethod
    def sha256_of(cls, data: bytes) -> Self:
        """Hash ``data`` itself."""
        return cls(HashAlgorithm.SHA256, hashlib.sha256(data).digest())

    @classmethod
    def from_hex(cls, hex_digest: str) -> Self:
        """Read a sha256 of 64 hexadecimal digits, such as an LFS oid; raises ``FormatError``."""
        return cls(HashAlgorithm.SHA256, _decode_hex(hex_digest))

    def hex(self) -> str:
        """Return the digest as lower-case hexadecimal digits, without prefix."""
        return self.digest.hex()

    def nix32(self) -> str:
        """Return the digest in nix32, without prefix."""
        return nix32.encode(self.digest)

    def base64(self) -> str:
        """Return the digest in padded base 64, without prefix."""
        return base64.b64encode(self.digest).decode("ascii")

    def sri(self) -> str:
        """Return ``sha256-<base64>``, the form of expressions and of W3C subresource integrity."""
        return f"{self.algorithm}-{self.base64()}"

    def nix_text(self) -> str:
        """Return ``sha256:<nix32>``, the form of narinfo files and content addresses."""
        return f"{self.algorithm}:{self.nix32()}"

    def hex_text(self) -> str:
        """Return ``sha256:<hex>``, the form of the store database."""
        return f"{self.algorithm}:{self.hex()}"


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4


def _decode_hex(text: str) -> bytes:
    # bytes.fromhex alone would skip white space.
    if len(text) % 2 or not _HEX.fullmatch(text):
        raise FormatError(f"not hexadecimal digits: {text[:200]!r}")
    return bytes.fromhex(text)


def _decode_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"not base 64: {text[:200]!r}") from error
    # Stray bits before the padding would give one digest several texts.
    if base64.b64encode(data).decode("ascii") != text:
        raise FormatError(f"not canonical base 64: {text[:200]!r}")
    return data
