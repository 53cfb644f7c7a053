from __future__ import annotations

import json

import pytest

from hf_pack.model.json_value import JsonObject
from hf_pack.model.manifest import Patch
from hf_pack.model.patches import PatchMismatch, apply, definition

CONFIG = b"""{
  "tokenizer_class": "TokenizersBackend",
  "rope": {
    "type": "linear",
    "factor": 2.0
  },
  "flag": true,
  "a.b": 1
}
"""


def patch(
    file: str = "tokenizer_config.json",
    *,
    when: JsonObject | None = None,
    set: JsonObject | None = None,  # noqa: A002 - the manifest's own word
    delete: tuple[str, ...] = (),
    merge: JsonObject | None = None,
    replace: str | None = None,
) -> Patch:
    return Patch(
        file=file, reason="r", when=when or {}, set=set or {}, delete=delete, merge=merge or {}, replace=replace
    )


def test_set_changes_one_line_of_an_indented_file() -> None:
    after = apply(patch(set={"tokenizer_class": "PreTrainedTokenizerFast"}), CONFIG, None)
    assert after == CONFIG.replace(b"TokenizersBackend", b"PreTrainedTokenizerFast")


def test_set_delete_and_merge_apply_in_this_order() -> None:
    change = patch(set={"new": {"x": 1}, "flag": False}, delete=("rope.factor",), merge={"new": {"y": 2}})
    after = json.loads(apply(change, CONFIG, None))
    assert list(after) == ["tokenizer_class", "rope", "flag", "a.b", "new"]
    assert after["rope"] == {"type": "linear"}
    assert after["flag"] is False
    assert after["new"] == {"x": 1, "y": 2}


def test_a_patch_is_not_changed_by_its_own_application() -> None:
    value = {"x": 1}
    after = json.loads(apply(patch(set={"new": value, "new.z": 3}), CONFIG, None))
    assert after["new"] == {"x": 1, "z": 3}
    assert value == {"x": 1}


def test_a_literal_key_with_a_dot_wins_over_the_path() -> None:
    after = json.loads(apply(patch(set={"a.b": 2, "rope.type": "yarn", "rope.new.x": 1}), CONFIG_WITH_NEW, None))
    assert after["a.b"] == 2
    assert after["rope"]["type"] == "yarn"
    assert after["rope"]["new"] == {"x": 1}


CONFIG_WITH_NEW = CONFIG.replace(b'"factor": 2.0', b'"factor": 2.0, "new": {}')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"a": 2, "b": [1, 2]}'),
        (b'{"a":1,"b":[1,2]}', b'{"a":2,"b":[1,2]}'),
        (b'{\n    "a": 1,\n    "b": []\n}', b'{\n    "a": 2,\n    "b": []\n}'),
        (b'{\n\t"a": 1\n}\n\n', b'{\n\t"a": 2\n}\n\n'),
        (b'{\r\n  "a": 1\r\n}\r\n', b'{\r\n  "a": 2\r\n}\r\n'),
        ('{"a": 1, "b": "é"}'.encode(), '{"a": 2, "b": "é"}'.encode()),
        (b'{"a": 1, "b": "\\u00e9"}', b'{"a": 2, "b": "\\u00e9"}'),
        (b'\xef\xbb\xbf {"a": 1, "b": "\\u00e9"}', b'\xef\xbb\xbf {"a": 2, "b": "\\u00e9"}'),
        (b'{\n"a": 1,\n"b": 2\n}', b'{\n"a": 2,\n"b": 2\n}'),
        (b'{"a": 1, "b": NaN}', b'{"a": 2, "b": NaN}'),
        (b"{}", b'{"a": 2}'),
    ],
)
def test_the_style_of_the_file_is_kept(before: bytes, after: bytes) -> None:
    assert apply(patch(set={"a": 2}), before, None) == after


@pytest.mark.parametrize(
    ("target", "merge", "result"),
    [  # RFC 7396, appendix A, the cases whose target and patch are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"z": 0}, {"a": {"bb": {"ccc": None}}}, {"z": 0, "a": {"bb": {}}}),
    ],
)
def test_merge_is_rfc_7396(target: JsonObject, merge: JsonObject, result: JsonObject) -> None:
    assert json.loads(apply(patch(merge=merge), json.dumps(target).encode(), None)) == result


def test_int_to_float_is_a_change_but_no_mismatch_of_a_condition() -> None:
    assert apply(patch(when={"a": 1.0}, set={"a": 1.0}), b'{"a": 1}', None) == b'{"a": 1.0}'


def test_conditions_hold_nested_and_whole() -> None:
    change = patch(when={"rope.type": "linear", "rope": {"factor": 2, "type": "linear"}}, set={"flag": False})
    assert b'"flag": false' in apply(change, CONFIG, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            patch(when={"tokenizer_class": "Old"}, set={"x": 1}),
            'tokenizer_config.json: tokenizer_class: expected "Old", found "TokenizersBackend"',
        ),
        (
            patch(when={"tokenizer_clas": "Old"}, set={"x": 1}),
            'tokenizer_config.json: tokenizer_clas: expected "Old", found no such key '
            "(did you mean 'tokenizer_class'?)",
        ),
        (patch(when={"flag": 1}, set={"x": 1}), "flag: expected 1, found true"),
        (patch(delete=("zzz",)), "zzz: expected a key to delete, found no such key"),
        (patch(set={"rope.type.x": 1}), "rope.type.x: expected an object at 'type', found \"linear\""),
        (patch(set={"ropes.type": 1}), "ropes.type: expected an object at 'ropes', found no such key"),
        (patch(set={"flag": True}), "changes nothing, the file is already so"),
        (patch("a.txt", set={"x": 1}), "a.txt: expected a .json file"),
        (patch("a.safetensors", replace="b"), "a weight file cannot be patched"),
        (patch(replace="b"), "tokenizer_config.json: expected the file b to replace it, found none"),
    ],
)
def test_a_patch_that_does_not_match_says_why(change: Patch, message: str) -> None:
    with pytest.raises(PatchMismatch) as caught:
        apply(change, CONFIG, None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"[1]", "expected a JSON object, found [1]"),
        (b'{"a": 1, "a": 2}', 'expected JSON: key "a" appears twice'),
        (b"{", "expected JSON: "),
        (b'{"a": "\xff"}', "expected UTF-8 text, found byte 7 is none"),
        (b'{"a": "\0"}', "found a NUL"),
    ],
)
def test_an_unreadable_file_is_refused(contents: bytes, message: str) -> None:
    with pytest.raises(PatchMismatch) as caught:
        apply(patch(set={"a": 2}), contents, None)
    assert message in str(caught.value)


def test_nothing_changes_where_only_the_writing_would() -> None:
    with pytest.raises(PatchMismatch, match="changes nothing"):
        apply(patch(set={"a": 1}), b'{ "a" :  1 }', None)


def test_replace_takes_the_other_bytes_as_they_are() -> None:
    assert apply(patch("chat_template.jinja", replace="new.jinja"), b"old", b"new\r\n") == b"new\r\n"
    assert apply(patch(replace="new.json", when={"flag": True}), CONFIG, b"{ }") == b"{ }"


@pytest.mark.parametrize(
    ("change", "replacement", "message"),
    [
        (patch("a.txt", replace="b"), b"{", "changes nothing"),
        (patch("a.txt", replace="b"), b"\xff", "b, which replaces a.txt: expected UTF-8 text"),
        (patch("a.json", replace="b"), b"{,", "b, which replaces a.json: expected JSON"),
        (patch("a.json", replace="b", when={"x": 1}), b"{}", "a.json: expected JSON"),
        (patch("a.txt", replace="b", when={"x": 1}), b"{}", "a.txt: expected a .json file"),
    ],
)
def test_a_replacement_must_fit(change: Patch, replacement: bytes, message: str) -> None:
    with pytest.raises(PatchMismatch) as caught:
        apply(change, b"{", replacement)
    assert message in str(caught.value)


def test_definition_has_only_what_the_patch_has() -> None:
    assert definition(patch(when={"a": 1}, set={"b": 2}, delete=("c",), merge={"d": 3})) == {
        "when": {"a": 1}, "set": {"b": 2}, "delete": ["c"], "merge": {"d": 3},
    }  # fmt: skip
    assert definition(patch(replace="x")) == {"replace": "x"}
