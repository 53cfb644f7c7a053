from __future__ import annotations

import math
import sys

import pytest

from hf_pack.weights.strict_json import DEPTH_LIMIT, child, kind_of, loads, loads_object, whole
from hf_pack.weights.weights_error import HeaderError, shorten


def test_reads_what_the_hub_serves() -> None:
    assert loads(b'{"a": [1, 2.5, "\xc3\xa9", null, true]}') == {"a": [1, 2.5, "é", None, True]}


def test_tolerates_a_byte_order_mark_and_non_finite_numbers() -> None:
    value = loads(b'\xef\xbb\xbf{"a": NaN, "b": -Infinity}')
    assert isinstance(value, dict)
    assert isinstance(value["a"], float)
    assert math.isnan(value["a"])
    assert value["b"] == -math.inf


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value (line 1, column 1)"),
        (b'{"a": 1,\n "b" 2}', "(line 2, column 6)"),
        (b'{"a": 1} x', "Extra data"),
        (b'{"a": "\xff"}', "found byte 0xff (line 1, column 8)"),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', 'key "c" appears twice'),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b"1" * (sys.get_int_max_str_digits() + 1), "too many digits"),
        (b'{"a": "\n"}', "Invalid control character"),
    ],
)
def test_refuses(data: bytes, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        loads(data)
    assert message in str(caught.value)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded_exactly(opening: bytes, closing: bytes) -> None:
    loads(opening * DEPTH_LIMIT + b"1" + closing * DEPTH_LIMIT)
    for depth in (DEPTH_LIMIT + 1, 100_000):
        with pytest.raises(HeaderError, match="nested more than 200"):
            loads(opening * depth + b"1" + closing * depth)


def test_loads_object_wants_an_object() -> None:
    assert loads_object(b"{}") == {}
    with pytest.raises(HeaderError, match="expected an object, found a list"):
        loads_object(b"[]")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a string"),
        ([], "a list"),
    ],
)
def test_kind_of(value: object, word: str) -> None:
    assert kind_of(value) == word


def test_child_and_whole_take_only_their_kind() -> None:
    assert child({"a": {"b": 1}}, "a") == {"b": 1}
    assert child({"a": [1]}, "a") is None
    assert child(None, "a") is None
    assert whole(3) == 3
    assert whole(True) is None
    assert whole(3.0) is None


def test_shorten_escapes_and_cuts() -> None:
    assert shorten("a\nb\x1b") == r"'a\nb\x1b'"
    assert len(shorten("x" * 1000)) < 100
