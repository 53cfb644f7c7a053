from __future__ import annotations

import pytest

from hf_pack.formats import ed25519
from hf_pack.formats.format_error import FormatError

SEED = bytes(range(32))
KEY = ed25519.public_key(SEED)
SIGNATURE = ed25519.sign(SEED, b"message")
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19


def test_a_signature_holds_for_its_key_and_message_alone() -> None:
    assert ed25519.verify(KEY, b"message", SIGNATURE)
    assert not ed25519.verify(KEY, b"massage", SIGNATURE)
    assert not ed25519.verify(ed25519.public_key(bytes(32)), b"message", SIGNATURE)


@pytest.mark.parametrize("bit", [0, 7, 255, 256, 300, 511])
def test_a_changed_bit_breaks_it(bit: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(KEY, b"message", bytes(changed))


def test_the_response_must_be_canonical() -> None:
    # Without this check everybody could make a second signature from a first.
    response = int.from_bytes(SIGNATURE[32:], "little") + ORDER
    assert not ed25519.verify(KEY, b"message", SIGNATURE[:32] + response.to_bytes(32, "little"))


def number(value: int) -> bytes:
    return value.to_bytes(32, "little")


@pytest.mark.parametrize(
    "key",
    [
        b"",
        KEY[:-1],
        KEY + b"\0",
        number(P),  # y is not reduced
        number(2**255 - 1),
        number(2),  # no point has y = 2
        number(1 | 1 << 255),  # x = 0 has no sign
    ],
)
def test_what_is_no_key_verifies_nothing(key: bytes) -> None:
    assert not ed25519.verify(key, b"message", SIGNATURE)


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0"])
def test_what_is_no_signature_does_not_hold(signature: bytes) -> None:
    assert not ed25519.verify(KEY, b"message", signature)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(FormatError, match=f"32 bytes, not {size}"):
        ed25519.sign(bytes(size), b"")
