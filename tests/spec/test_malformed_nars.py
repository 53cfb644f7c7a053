from __future__ import annotations

import pytest
from tests.spec.malformed_nars import MAGIC, MALFORMED_NARS, VALID, MalformedNar, nested

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.nar_reader import parse


@pytest.mark.parametrize("case", MALFORMED_NARS, ids=lambda case: case.name)
def test_is_refused(case: MalformedNar) -> None:
    with pytest.raises(FormatError):
        parse(case.data)


@pytest.mark.parametrize("data", [VALID, MAGIC + nested(256)], ids=["one of each", "256 directories"])
def test_the_valid_neighbours_are_accepted(data: bytes) -> None:
    parse(data)


@pytest.mark.parametrize("end", range(0, len(VALID), 4))
def test_a_prefix_is_refused(end: int) -> None:
    with pytest.raises(FormatError, match="ends too early"):
        parse(VALID[:end])
