from __future__ import annotations

import pytest

from hf_pack.weights.shard_index import is_plain_relative, parse_index
from hf_pack.weights.weights_error import HeaderError


def test_reads_an_index() -> None:
    index = parse_index(b'{"metadata": {"total_size": 12}, "weight_map": {"b": "2.st", "a": "1.st", "c": "1.st"}}')
    assert index.weight_map == (("a", "1.st"), ("b", "2.st"), ("c", "1.st"))
    assert index.files == ("1.st", "2.st")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[]", "expected an object, found a list"),
        (b"{}", "weight_map: expected an object of tensor names to files, found null"),
        (b'{"weight_map": {}}', "found an empty object"),
        (b'{"weight_map": {"a": 1}}', "weight_map.'a': expected a file name, found a number"),
        (b'{"weight_map": {"a": "../x"}}', "below the model's directory, found '../x'"),
        (b'{"weight_map": {"a": "b", "a": "c"}}', 'key "a" appears twice'),
    ],
)
def test_refuses(text: bytes, message: str) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_index(text)
    assert message in str(caught.value)


def test_is_plain_relative() -> None:
    assert is_plain_relative("model-00001-of-00002.safetensors")
    assert is_plain_relative("sub/..x/m.safetensors")
    for path in ("", "/a", "a/", "a//b", "./a", "a/../b", "..", "c:\\a", "c:a", "a\\b", "a\0b"):
        assert not is_plain_relative(path), path
