from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from tests.corpus import TREES

from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.nar import NarFile, NarNode, NarSymlink, directory
from hf_pack.formats.nar_reader import (
    CHUNK_SIZE,
    DirectoryEnd,
    DirectoryStart,
    FileChunk,
    FileEnd,
    FileStart,
    Symlink,
    parse,
    read_events,
)


def dumped(node: NarNode) -> bytes:
    return b"".join(nar.dump(node))


def at_most(limit: int, data: bytes) -> Callable[[int], bytes]:
    """A ``read`` that gives fewer bytes than asked for, as a socket does."""
    stream = io.BytesIO(data)
    return lambda n: stream.read(min(n, limit))


def test_events() -> None:
    data = dumped(
        directory({b"a": NarFile(b"hello", True), b"d": directory({b"e": NarFile(b"")}), b"l": NarSymlink(b"t")})
    )
    assert list(read_events(io.BytesIO(data).read)) == [
        DirectoryStart(()),
        FileStart((b"a",), 5, True, data.index(b"hello")),
        FileChunk(b"hello"),
        FileEnd((b"a",)),
        DirectoryStart((b"d",)),
        FileStart((b"d", b"e"), 0, False, data.rindex(b"contents") + 16),
        FileEnd((b"d", b"e")),
        DirectoryEnd((b"d",)),
        Symlink((b"l",), b"t"),
        DirectoryEnd(()),
    ]


@pytest.mark.parametrize("node", TREES.values(), ids=TREES)
def test_parse_gives_the_tree(node: NarNode) -> None:
    assert parse(dumped(node)) == node


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_stream_may_give_few_bytes_at_once(limit: int) -> None:
    data = dumped(TREES["links"])
    whole = [event for event in read_events(io.BytesIO(data).read) if not isinstance(event, FileChunk)]
    split = [event for event in read_events(at_most(limit, data)) if not isinstance(event, FileChunk)]
    assert split == whole


def test_contents_come_in_bounded_chunks() -> None:
    contents = bytes(2 * CHUNK_SIZE + 1)
    events = read_events(io.BytesIO(dumped(NarFile(contents))).read)
    chunks = [event.data for event in events if isinstance(event, FileChunk)]
    assert [len(chunk) for chunk in chunks] == [CHUNK_SIZE, CHUNK_SIZE, 1]


def test_no_more_is_asked_for_than_the_bounds_allow() -> None:
    asked = []

    def read(n: int) -> bytes:
        asked.append(n)
        return stream.read(n)

    stream = io.BytesIO(nar.file_header(2**62) + b"x")
    with pytest.raises(FormatError, match="ends too early"):
        list(read_events(read))
    assert max(asked) == CHUNK_SIZE


def test_what_went_well_is_given_before_the_error() -> None:
    events = read_events(io.BytesIO(dumped(NarFile(b"hello"))[:-1]).read)
    assert next(events) == FileStart((), 5, False, 96)
    assert next(events) == FileChunk(b"hello")
    with pytest.raises(FormatError, match="ends too early, after 119 bytes"):
        next(events)
