from __future__ import annotations

import math

import pytest

from hf_pack.model.strict_json import DEPTH_LIMIT, StrictJsonError, loads


def test_published_oddities_are_read() -> None:
    value = loads(b'\xef\xbb\xbf{"a": [NaN, Infinity], "b": "\\ud83d\\ude00"}')
    assert isinstance(value, dict)
    assert math.isnan(value["a"][0])
    assert value["b"] == "\U0001f600"


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b'{\n "a": }', 2, 7, "Expecting value (line 2, column 7)"),
        (b'{\n "a": "\xff"}', 2, 8, "expected UTF-8, found byte 0xff (line 2, column 8)"),
        (b'\xef\xbb\xbf"\xff"', 1, 2, "expected UTF-8"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', None, None, 'key "c" appears twice in one object'),
        (b"1" * 5000, None, None, "a number has too many digits"),
        (b'["\\ud800"]', None, None, "half of a surrogate pair"),
        (b"[" * 100_000, None, None, "nested more than 200 levels deep"),
    ],
)
def test_bad_json_says_where(data: bytes, line: int | None, column: int | None, message: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(data)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in str(caught.value)


def test_depth_is_bounded_exactly() -> None:
    loads(b"[" * DEPTH_LIMIT + b"1" + b"]" * DEPTH_LIMIT)
    with pytest.raises(StrictJsonError, match="200 levels"):
        loads(b'{"a":' * (DEPTH_LIMIT + 1) + b"1" + b"}" * (DEPTH_LIMIT + 1))
