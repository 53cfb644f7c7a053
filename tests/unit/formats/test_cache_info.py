from __future__ import annotations

import pytest

from hf_pack.formats.cache_info import CacheInfo
from hf_pack.formats.format_error import FormatError

INFO = CacheInfo(want_mass_query=True, priority=40)
TEXT = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n"


def test_text() -> None:
    assert INFO.format() == TEXT
    assert CacheInfo.parse(TEXT) == INFO
    assert CacheInfo.parse(CacheInfo().format()) == CacheInfo()


def test_absent_and_unknown_fields() -> None:
    assert CacheInfo.parse("StoreDir: /nix/store\n") == CacheInfo()  # all that nix copy writes
    assert CacheInfo.parse("") == CacheInfo()
    assert CacheInfo.parse(TEXT + "Color: green\n") == INFO
    assert CacheInfo.parse("StoreDir: /gnu/store").store_dir == "/gnu/store"
    assert CacheInfo.parse("Priority:-1").priority == -1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("StoreDir", "not a line"),
        (TEXT + "\n", "not a line"),
        ("Priority: high\n", "Priority is a number"),
        ("Priority: ١\n", "Priority is a number"),
        ("Priority: \n", "Priority is a number"),
    ],
)
def test_what_is_no_cache_info_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        CacheInfo.parse(text)
