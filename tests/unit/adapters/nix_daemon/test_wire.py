from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_pack.adapters.nix_daemon import wire
from hf_pack.adapters.nix_daemon.wire import Decoder, WireError


def decoder(data: bytes) -> Decoder:
    return Decoder(io.BytesIO(data).read)


def test_values_are_as_nix_writes_them() -> None:
    assert wire.number(0x6E697863) == b"cxin\0\0\0\0"
    assert wire.text("") == bytes(8)
    assert wire.text("abc") == b"\3\0\0\0\0\0\0\0abc\0\0\0\0\0"
    assert wire.text(b"12345678") == b"\x08\0\0\0\0\0\0\x0012345678"
    assert wire.texts(["a", "b"]) == wire.number(2) + wire.text("a") + wire.text("b")


@given(st.integers(0, (1 << 64) - 1), st.text(), st.lists(st.text(max_size=20), max_size=5))
def test_what_is_written_is_read_back(number: int, text: str, texts: list[str]) -> None:
    read = decoder(wire.number(number) + wire.text(text.encode()) + wire.texts(texts))
    assert (read.number(), read.text(), read.texts()) == (number, text, tuple(texts))


def test_bytes_that_are_no_utf8_are_kept() -> None:
    assert decoder(wire.text(b"\xff")).text().encode("utf-8", "surrogateescape") == b"\xff"


@pytest.mark.parametrize(
    "data",
    [wire.number(wire.MOST_BYTES + 1), b"\1\0\0\0\0\0\0\0aX\0\0\0\0\0\0", wire.number((1 << 64) - 1)],
    ids=["too long", "padding", "no number"],
)
def test_an_impossible_text_is_refused_before_it_is_read(data: bytes) -> None:
    with pytest.raises(WireError):
        decoder(data).text()


def test_an_impossible_list_is_refused() -> None:
    with pytest.raises(WireError):
        decoder(wire.number(1 << 40)).texts()


def test_a_number_has_its_limit() -> None:
    assert decoder(wire.number(3)).number(most=3) == 3
    with pytest.raises(WireError, match="at most 2"):
        decoder(wire.number(3)).number(most=2)
