from __future__ import annotations

import io
import json

import pytest
from tests.corpus import TREES

from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.listing import (
    ListedDirectory,
    ListedFile,
    ListedSymlink,
    format_listing,
    listing_of,
    listing_of_events,
    parse_listing,
)
from hf_pack.formats.nar import NarFile, NarNode, NarOpaqueFile, NarSymlink, directory
from hf_pack.formats.nar_reader import read_events

LISTABLE = {name: tree for name, tree in TREES.items() if name != "links" and "awkward" not in name}
FILE = '{"size":1,"type":"regular"}'


def document(root: str) -> str:
    return f'{{"root":{root},"version":1}}'


@pytest.mark.parametrize("node", LISTABLE.values(), ids=LISTABLE)
def test_the_listing_of_a_tree_is_that_of_its_nar(node: NarNode) -> None:
    data = b"".join(nar.dump(node))
    assert listing_of(node) == listing_of_events(read_events(io.BytesIO(data).read))
    assert parse_listing(format_listing(listing_of(node))) == listing_of(node)


def test_offsets_point_at_the_contents() -> None:
    tree = directory({b"a": NarFile(b"first", True), b"b": directory({b"c": NarFile(b"second")})})
    data = b"".join(nar.dump(tree))
    assert listing_of(tree) == ListedDirectory(
        (
            ("a", ListedFile(5, True, data.index(b"first"))),
            ("b", ListedDirectory((("c", ListedFile(6, False, data.index(b"second"))),))),
        )
    )


def test_text() -> None:
    listing = ListedDirectory(
        (
            ("a\n", ListedFile(1)),
            ("b", ListedFile(2, True, 96)),
            ("c", ListedSymlink("é")),
            ("é", ListedDirectory(())),
        )
    )
    assert format_listing(listing) == document(
        '{"entries":{"a\\n":{"size":1,"type":"regular"},'
        '"b":{"executable":true,"narOffset":96,"size":2,"type":"regular"},'
        '"c":{"target":"é","type":"symlink"},"é":{"entries":{},"type":"directory"}},"type":"directory"}'
    )
    assert parse_listing(format_listing(listing)) == listing


def test_an_opaque_file_stays_unread() -> None:
    assert listing_of(NarOpaqueFile(2**40, list)) == ListedFile(2**40, False, 96)


def test_order_and_unknown_keys_do_not_matter() -> None:
    text = document(f'{{"type":"directory","new":1,"entries":{{"b":{FILE},"a":{FILE}}}}}')
    assert parse_listing(text) == ListedDirectory((("a", ListedFile(1)), ("b", ListedFile(1))))


@pytest.mark.parametrize("node", [directory({b"\xff": NarFile(b"")}), NarSymlink(b"\xff")])
def test_what_is_not_utf_8_cannot_be_listed(node: NarNode) -> None:
    with pytest.raises(FormatError, match="not UTF-8"):
        listing_of(node)
    with pytest.raises(FormatError, match="not UTF-8"):
        listing_of_events(read_events(io.BytesIO(b"".join(nar.dump(node))).read))


def _deep(levels: int) -> str:
    return '{"type":"directory","entries":{"d":' * levels + FILE + "}}" * levels


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("[]", "not a listing of version 1"),
        ("{}", "not a listing of version 1"),
        ('{"version":2,"root":' + FILE + "}", "not a listing of version 1"),
        ('{"version":1}', "listing of /: not an object"),
        (document("[]"), "listing of /: not an object"),
        (document("{}"), "unknown type None"),
        (document('{"type":["regular"]}'), "unknown type"),
        (document('{"type":"regular"}'), "size is not a number"),
        (document('{"type":"regular","size":true}'), "size is not a number"),
        (document('{"type":"regular","size":1.0}'), "size is not a number"),
        (document('{"type":"regular","size":-1}'), "not a size or offset"),
        (document('{"type":"regular","size":1,"narOffset":"1"}'), "narOffset is not a number"),
        (document('{"type":"regular","size":1,"narOffset":-1}'), "not a size or offset"),
        (document('{"type":"symlink"}'), "target is not a text"),
        (document('{"type":"symlink","target":""}'), "link target"),
        (document('{"type":"symlink","target":"\\ud800"}'), "not Unicode"),
        (document('{"type":"directory"}'), "entries is not an object"),
        (document('{"type":"directory","entries":{"..":' + FILE + "}}"), "not an entry name"),
        (document('{"type":"directory","entries":{"\\ud800":' + FILE + "}}"), "not Unicode"),
        (document('{"type":"directory","entries":{"a":' + FILE + ',"a":' + FILE + "}}"), "a key twice"),
        (
            document('{"type":"directory","entries":{"a":{"type":"directory","entries":{"b":1}}}}'),
            "of /a/b: not",
        ),
        (document(_deep(257)), "more than 256 directories"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_listing_is_refused(text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse_listing(text)


def test_256_directories_are_accepted() -> None:
    assert json.loads(format_listing(parse_listing(document(_deep(256))))) == json.loads(document(_deep(256)))


def test_names_out_of_order_are_refused() -> None:
    with pytest.raises(FormatError, match="out of order"):
        ListedDirectory((("b", ListedFile(1)), ("a", ListedFile(1))))
