"""Ed25519 signatures (RFC 8032, section 5.1), with numbers of the standard library alone.

A signature takes a few milliseconds, which is nothing next to the hash of a model. The time depends on the
secret key: sign on a machine whose other users you trust.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from hf_pack.formats.format_error import FormatError

SEED_SIZE = PUBLIC_KEY_SIZE = 32  # bytes
SIGNATURE_SIZE = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

# Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x * y = T/Z.
_Point: TypeAlias = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte secret seed."""
    scalar, _ = _expand(seed)
    return _compress(_multiply(scalar, _BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of ``message``; the same for the same input, always."""
    scalar, prefix = _expand(seed)
    own_key = _compress(_multiply(scalar, _BASE))
    nonce = _hash_to_number(prefix, message) % _ORDER
    commitment = _compress(_multiply(nonce, _BASE))
    challenge = _hash_to_number(commitment, own_key, message) % _ORDER
    response = (nonce + challenge * scalar) % _ORDER
    return commitment + response.to_bytes(32, "little")


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` was made for ``message`` with the seed of the public ``key``.

    A key or signature of a wrong size, or with a point or number that is not canonical, is simply not
    valid.
    """
    if len(key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    commitment, response = signature[:32], int.from_bytes(signature[32:], "little")
    point = _decompress(key)
    if point is None or response >= _ORDER:
        return False
    challenge = _hash_to_number(commitment, key, message) % _ORDER
    # response * B = commitment + challenge * key, with everything but the commitment on one side.
    x, y, z, t = point
    negated = (-x % _P, y, z, -t % _P)
    return _compress(_add(_multiply(response, _BASE), _multiply(challenge, negated))) == commitment


def _expand(seed: bytes) -> tuple[int, bytes]:
    if len(seed) != SEED_SIZE:
        raise FormatError(f"an Ed25519 seed has {SEED_SIZE} bytes, not {len(seed)}")
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
    return scalar, digest[32:]


def _hash_to_number(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def _add(p: _Point, q: _Point) -> _Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    result = _NEUTRAL
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    sign_bit, y = number >> 255, number & (1 << 255) - 1
    if y >= _P:
        return None
    # x^2 = (y^2 - 1) / (d y^2 + 1); the divisor is never zero.
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _SQRT_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign_bit):
        return None
    if x & 1 != sign_bit:
        x = _P - x
    return x, y, 1, x * y % _P


def _base_point() -> _Point:
    point = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE = _base_point()
