from __future__ import annotations

import json

import pytest

from hf_pack.model.build_meta import BuildMeta, BuildMetaError, parse

META = BuildMeta(build_version=3, force_increment=1, git_rev="ab" * 20, git_rev_short="abababa", changelog='é "x"\n')


def test_build_meta_is_read_back() -> None:
    assert parse(META.format()) == META
    assert parse(BuildMeta().format()) == BuildMeta()


def test_the_file_has_the_keys_of_the_contract() -> None:
    assert list(json.loads(META.format())) == [
        "build_version", "force_increment", "git_rev", "git_rev_short", "changelog",
    ]  # fmt: skip
    assert "é".encode() in META.format()
    assert META.format().endswith(b"}\n")


def test_the_version_has_the_revision() -> None:
    assert META.version("1.0.0") == "1.0.0+abababa"
    assert BuildMeta().version("1.0.0") == "1.0.0+0000000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"build_version": "3"}, 'build_version: expected int, found "3"'),
        ({"build_version": True}, "build_version: expected int, found true"),
        ({"force_increment": -1}, "force_increment: expected 0 or more, found -1"),
        ({"git_rev_short": "HEAD"}, 'git_rev_short: expected 4 to 40 hex digits, found "HEAD"'),
        ({"changelog": None}, "changelog: expected str, found null"),
        ({"extra": 1}, "extra: unknown key"),
        ({"git_rev": 1, "extra": 1}, "git_rev: expected str, found 1; extra: unknown key"),
    ],
)
def test_problems_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(BuildMetaError) as caught:
        parse(json.dumps(json.loads(META.format()) | change).encode())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected an object, found list"),
    ],
)
def test_what_is_no_build_meta(text: bytes, message: str) -> None:
    with pytest.raises(BuildMetaError, match=message):
        parse(text)
