from __future__ import annotations

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm

HELLO = Hash.sha256_of(b"hello\n")
HEX = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
NIX32 = "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"
BASE64 = "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="


def test_text_forms() -> None:
    assert (HELLO.hex(), HELLO.nix32(), HELLO.base64()) == (HEX, NIX32, BASE64)
    assert HELLO.sri() == f"sha256-{BASE64}"
    assert HELLO.nix_text() == f"sha256:{NIX32}"
    assert HELLO.hex_text() == f"sha256:{HEX}"


@pytest.mark.parametrize("text", [HEX, HEX.upper(), NIX32, BASE64])
@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_parse_with_the_algorithm(prefix: str, text: str) -> None:
    assert Hash.parse(prefix + text, HashAlgorithm.SHA256) == HELLO


def test_parse_sri_without_the_algorithm() -> None:
    assert Hash.parse(f"sha256-{BASE64}") == HELLO


def test_from_hex() -> None:
    assert Hash.from_hex(HEX) == HELLO


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEX, "without its algorithm"),
        ("", "without its algorithm"),
        (f"blake3:{HEX}", "unknown hash algorithm"),
        (f"SHA256:{HEX}", "unknown hash algorithm"),
        (f":{HEX}", "unknown hash algorithm"),
        ("sha256:", "no form of a sha256 hash has 0 characters"),
        (f"sha256:{HEX}0", "no form"),
        (f"sha1:{HEX}", "no form"),
        (f"sha256:{HEX[:-1]}g", "not hexadecimal"),
        (f"sha256:{HEX[:-1]} ", "not hexadecimal"),
        (f"sha256:{HEX[:-1]}\n", "not hexadecimal"),
        (f"sha256:{HEX[:-1]}٣", "not hexadecimal"),
        (f"sha256:{NIX32[:-1]}e", "alphabet"),
        (f"sha256:z{NIX32[1:]}", "padding bits"),
        (f"sha256-{HEX}", "48|has 32 bytes"),
        (f"sha256-{NIX32}", "has 32 bytes"),
        (f"sha256-{BASE64[:-1]}", "not base 64"),
        (f"sha256-{BASE64[:-2]}N=", "not canonical"),
        (f"sha256:{BASE64[:-2]}N=", "not canonical"),
        (f"sha256-{BASE64[:-2]}-=", "not base 64"),
        (f"sha256-{BASE64}\n", "not base 64"),
        (f"sha256-é{BASE64[1:]}", "not base 64"),
    ],
)
def test_what_is_no_hash_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        Hash.parse(text)


def test_another_algorithm_than_expected_is_refused() -> None:
    with pytest.raises(FormatError, match="expected a sha1 hash"):
        Hash.parse(f"sha256:{HEX}", HashAlgorithm.SHA1)


@pytest.mark.parametrize("text", [HEX[:-2], HEX + "00", HEX[:-1], HEX[:-1] + "x"])
def test_from_hex_refuses(text: str) -> None:
    with pytest.raises(FormatError):
        Hash.from_hex(text)


def test_a_digest_of_another_size_is_refused() -> None:
    with pytest.raises(FormatError, match="a sha256 digest has 32 bytes, not 20"):
        Hash(HashAlgorithm.SHA256, bytes(20))


def test_hashes_have_an_order() -> None:
    low, high = Hash(HashAlgorithm.SHA256, bytes(32)), Hash(HashAlgorithm.SHA256, bytes(31) + b"\1")
    assert sorted([high, low]) == [low, high]
