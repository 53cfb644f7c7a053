from __future__ import annotations

import pytest

from hf_pack.model.relative_path import check, problem_of


@pytest.mark.parametrize("path", ["a", "a/b c", "...", ".hidden/x", "é" * 127, "a\nb", "\udcff"])
def test_good_paths(path: str) -> None:
    assert check(path) == path


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "./a", "a/..", "..", "a\0b", "é" * 128])
def test_bad_paths(path: str) -> None:
    assert problem_of(path)
    with pytest.raises(ValueError, match="is not a relative path inside the directory: "):
        check(path)
