from __future__ import annotations

import pytest

from hf_pack.model.document import Problem, is_same, show
from hf_pack.model.json_value import JsonValue


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(path="", message="m"), "m"),
        (Problem(path="a.b", message="m", expected="e"), "a.b: m: expected e"),
        (Problem(path="a", message="m", found="f"), "a: m: found f"),
        (Problem(path="a", message="m", expected="e", found="f", hint="h"), "a: m: expected e, found f (h)"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_long_value_is_cut() -> None:
    assert show("é") == '"é"'
    assert show(["x" * 200]) == '["' + "x" * 98 + "…"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (True, True, True),
        (None, False, False),
        ("1", 1, False),
        ([1, True], (1, True), True),
        ([1, True], [1, 1], False),
        ([1], [1, 2], False),
        ({"a": 1, "b": [0]}, {"b": [0], "a": 1}, True),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": 1}, {"b": 1}, False),
        ({}, [], False),
    ],
)
def test_json_equality(one: JsonValue, other: JsonValue, same: bool) -> None:
    assert is_same(one, other) is is_same(other, one) is same
