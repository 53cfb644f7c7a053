from __future__ import annotations

import base64

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.signing import PublicKey, SecretKey, verify

# nix key generate-secret --key-name k-1 | tee /dev/stderr | nix key convert-secret-to-public    (Nix 2.8.0)
SECRET = "k-1:2eF5jRKEvFKryq1e49YEuk2C6O/cGiBCSFqS74ijRdAc+DgXQkL4L81hQR7/tHthOvBDqZjZ6AzRV4TaorsRpg=="
PUBLIC = "k-1:HPg4F0JC+C/NYUEe/7R7YTrwQ6mY2egM0VeE2qK7EaY="

KEY = SecretKey.parse(SECRET)
OTHER = SecretKey.generate(bytes(32), "k-2")
SIGNATURE = KEY.sign("text")


def test_keys_of_nix() -> None:
    assert KEY.format() == SECRET
    assert SecretKey.parse(SECRET + "\n") == KEY
    assert KEY.public_key() == PublicKey.parse(PUBLIC)
    assert PublicKey.parse(PUBLIC).format() == PUBLIC


def test_the_secret_is_not_shown() -> None:
    assert repr(KEY) == "SecretKey(name='k-1')"


def test_a_signature() -> None:
    assert SIGNATURE.startswith("k-1:")
    assert len(base64.b64decode(SIGNATURE[4:])) == 64
    assert KEY.public_key().verify("text", SIGNATURE)
    assert not KEY.public_key().verify("another", SIGNATURE)
    assert not OTHER.public_key().verify("text", SIGNATURE)


@pytest.mark.parametrize("signature", ["", "k-1", "k-1:", "k-1:!", "k-2" + SIGNATURE[3:], SIGNATURE[4:], "k-1:é"])
def test_what_is_no_signature_of_the_key_does_not_hold(signature: str) -> None:
    assert not KEY.public_key().verify("text", signature)


def test_one_of_many_is_enough() -> None:
    keys = [OTHER.public_key(), KEY.public_key()]
    assert verify("text", ["x-1:AAAA", SIGNATURE], iter(keys))
    assert not verify("text", [SIGNATURE], [OTHER.public_key()])
    assert not verify("text", [], keys)
    assert not verify("text", [SIGNATURE], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a secret key is '<name>:<base 64>'"),
        (SECRET[4:], "a secret key is"),
        ("k-1:!", "a secret key is"),
        (SECRET[3:], "not the name of a key"),
        (PUBLIC, "has 32 bytes, not 64"),
        ("k 1" + SECRET[3:], "not the name of a key"),
        ("k-1:3" + SECRET[5:], "does not hold its own public key"),
    ],
)
def test_what_is_no_secret_key_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        SecretKey.parse(text)
    assert SECRET[10:30] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "k-1", "k-1:", "k-1:AAAA", SECRET, PUBLIC[3:], "k-1: " + PUBLIC[4:]])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        PublicKey.parse(text)


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(FormatError, match="32 bytes, not 31"):
        SecretKey.generate(bytes(31), "k-1")
