from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.corpus import TREES

from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash
from hf_pack.formats.nar import NarDirectory, NarFile, NarNode, NarOpaqueFile, NarSymlink, directory

FILE = NarFile(b"x")


def opaque(size: int, *chunks: bytes, executable: bool = False) -> NarOpaqueFile:
    return NarOpaqueFile(size, lambda: chunks, executable)


def dumped(node: NarNode) -> bytes:
    return b"".join(nar.dump(node))


def test_tokens_are_padded_to_8_bytes() -> None:
    assert nar.token(b"") == bytes(8)
    assert nar.token(b"abc") == b"\x03" + bytes(7) + b"abc" + bytes(5)
    assert nar.token(b"12345678") == b"\x08" + bytes(7) + b"12345678"


@pytest.mark.parametrize("node", TREES.values(), ids=TREES)
def test_size_and_hash_are_those_of_the_dump(node: NarNode) -> None:
    data = dumped(node)
    assert nar.size(node) == len(data)
    assert nar.hash_and_size(node) == (Hash.sha256_of(data), len(data))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000])
def test_a_flat_file_is_header_contents_trailer(n: int) -> None:
    contents = bytes(n)
    assert len(nar.file_header(n)) == 96
    whole = nar.file_header(n) + contents + nar.file_trailer(n)
    assert whole == dumped(NarFile(contents))
    assert nar.file_size(n) == len(whole) == 112 + n + -n % 8


@pytest.mark.parametrize("executable", [False, True])
@pytest.mark.parametrize("chunks", [[b"hello"], [b"he", b"", b"llo"]])
def test_an_opaque_file_is_as_one_in_memory(chunks: list[bytes], executable: bool) -> None:
    one = directory({b"f": opaque(5, *chunks, executable=executable)})
    other = directory({b"f": NarFile(b"hello", executable)})
    assert dumped(one) == dumped(other)
    assert nar.size(one) == nar.size(other)


def test_size_reads_no_opaque_file() -> None:
    def chunks() -> Iterable[bytes]:
        raise AssertionError("read")

    size = 2**40 + 1
    assert nar.size(NarOpaqueFile(size, chunks)) == nar.file_size(size)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (opaque(3), "a file of 3 bytes gives only 0"),
        (opaque(3, b"ab"), "only 2"),
        (opaque(3, b"abcd"), "more than that"),
        (opaque(0, b"a"), "more than that"),
        (opaque(3, b"abc", b"d"), "more than that"),
    ],
)
def test_an_opaque_file_of_another_size_fails(node: NarNode, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        nar.hash_and_size(node)


@pytest.mark.parametrize("size", [-1, 2**63])
def test_what_is_no_size_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match="not a file size"):
        opaque(size)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"", "1 to 255 bytes, not 0"),
        (b"n" * 256, "not 256"),
        (b".", "not an entry name"),
        (b"..", "not an entry name"),
        (b"a/b", "not an entry name"),
        (b"a\0", "not an entry name"),
        (b"a~nix~case~hack~1", "not an entry name"),
    ],
)
def test_what_is_no_name_is_refused(name: bytes, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        directory({name: FILE})


@pytest.mark.parametrize(
    ("names", "problem"),
    [([b"b", b"a"], "out of order"), ([b"a", b"a"], "twice"), ([b"a", b"Z"], "out of order")],
)
def test_names_out_of_order_are_refused(names: list[bytes], problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        NarDirectory(tuple((name, FILE) for name in names))


def test_directory_sorts_by_bytes() -> None:
    names = ["é".encode(), b"a", b"Z", b"a.b", b"-"]
    assert [name for name, _ in directory(dict.fromkeys(names, FILE)).entries] == sorted(names)


@pytest.mark.parametrize("target", [b"", b"t" * 4096, b"a\0b"])
def test_what_is_no_target_is_refused(target: bytes) -> None:
    with pytest.raises(FormatError, match="link target"):
        NarSymlink(target)


def test_depth_is_bounded() -> None:
    node = directory({})
    for _ in range(nar.MAX_DEPTH - 1):
        node = directory({b"a": FILE, b"d": node, b"e": directory({})})
    assert nar.size(node) == len(dumped(node))
    with pytest.raises(FormatError, match="more than 256 directories"):
        directory({b"d": node})
