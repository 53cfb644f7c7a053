from __future__ import annotations

import pytest

from hf_pack.formats import nix32
from hf_pack.formats.format_error import FormatError


def test_the_most_significant_digit_of_the_little_endian_number_comes_first() -> None:
    assert nix32.encode(b"\x01\x00") == "0001"
    assert nix32.encode(b"\x00\x80") == "1000"
    assert nix32.decode("0001") == b"\x01\x00"


def test_the_alphabet_has_no_e_o_t_u() -> None:
    assert sorted(nix32.ALPHABET) == list(nix32.ALPHABET)
    assert set("0123456789abcdefghijklmnopqrstuvwxyz") - set(nix32.ALPHABET) == set("eotu")


@pytest.mark.parametrize(("size", "length"), [(0, 0), (1, 2), (5, 8), (16, 26), (20, 32), (32, 52), (64, 103)])
def test_encoded_length(size: int, length: int) -> None:
    assert nix32.encoded_length(size) == length
    assert len(nix32.encode(bytes(size))) == length


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0", "no nix32 text has 1 characters"),
        ("000", "no nix32 text has 3 characters"),
        ("e0", "'e' is not in the nix32 alphabet"),
        ("A0", "'A' is not"),
        ("z0", "padding bits"),
        ("80", "padding bits"),
    ],
)
def test_what_is_no_nix32_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        nix32.decode(text)
