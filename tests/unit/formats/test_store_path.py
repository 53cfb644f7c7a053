from __future__ import annotations

import hashlib

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import (
    ContentAddress,
    ContentAddressMethod,
    StorePath,
    check_name,
    flat_content_address,
    flat_path,
    parse_content_address,
    path_of_content_address,
    recursive_content_address,
    recursive_path,
    sanitize_name,
    text_path,
)

SHA256 = Hash.sha256_of(b"hello\n")
SHA1 = Hash(HashAlgorithm.SHA1, hashlib.sha1(b"hello\n").digest())
DIGEST = "gy454w1cxaq731grqwylhzf4pp9r5izh"
PATH = StorePath(DIGEST, "hello.txt")
OTHER = StorePath("0" * 32, "other")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors"),
        ("A+b._?=-9", "A+b._?=-9"),
        ("a b/c:d@e~f", "a-b-c-d-e-f"),
        ("é🤗\udcff\n", "_----"),
        (".gitattributes", "_.gitattributes"),
        ("-x", "_-x"),
        (" x", "_-x"),
        (".", "_."),
        ("..", "_.."),
        ("x.drv", "x.drv_"),
        (".drv", "_.drv_"),
        ("x.drv.txt", "x.drv.txt"),
        ("n" * 207, "n" * 207),
        ("n" * 208, "n" * 207),
        ("." + "n" * 300, "_." + "n" * 205),
        ("n" * 202 + ".drv", "n" * 202 + ".drv_"),
        ("n" * 203 + ".drv", "n" * 203 + ".dr_"),
        ("n" * 203 + ".drvx", "n" * 203 + ".dr_"),
    ],
)
def test_sanitize_name(text: str, name: str) -> None:
    assert sanitize_name(text) == name
    check_name(name)


def test_sanitize_name_refuses_nothing() -> None:
    with pytest.raises(FormatError, match="empty"):
        sanitize_name("")


@pytest.mark.parametrize("name", ["a", "n" * 211, ".a", "..a", ".a-b", "-a", "a..", "x.drv", "..."])
def test_names_that_nix_takes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "1 to 211 characters, not 0"),
        ("n" * 212, "not 212"),
        ("a b", "' ' cannot be"),
        ("a/b", "'/' cannot be"),
        ("a\n", "cannot be"),
        ("é", "'é' cannot be"),
        ("٣", "cannot be"),
        (".", "part"),
        ("..", "part"),
        (".-a", "part"),
        ("..-a", "part"),
    ],
)
def test_names_that_are_refused(name: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        check_name(name)
    with pytest.raises(FormatError, match=problem):
        flat_path(name, SHA256)
    with pytest.raises(FormatError, match=problem):
        StorePath(DIGEST, name)


def test_text_of_a_path() -> None:
    assert PATH.base_name == f"{DIGEST}-hello.txt"
    assert str(PATH) == f"/nix/store/{DIGEST}-hello.txt"
    assert StorePath.parse(str(PATH)) == StorePath.parse_base_name(PATH.base_name) == PATH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/nix/store",
        "/nix/store/",
        f"/nix/store/{DIGEST}",
        f"/nix/store/{DIGEST}-",
        f"/nix/store/{DIGEST}-a/b",
        f"/nix/store/{DIGEST[1:]}-a",
        f"/nix/store/e{DIGEST[1:]}-a",
        f"/nix/store/{DIGEST.upper()}-a",
        f"/nix/store//{DIGEST}-a",
        f"/gnu/store/{DIGEST}-a",
        f"{DIGEST}-a",
        f"/nix/store/.links/{DIGEST}-a",
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        StorePath.parse(text)


@pytest.mark.parametrize("digest", ["0" * 31, "0" * 33, "u" * 32, ""])
def test_what_is_no_digest_is_refused(digest: str) -> None:
    with pytest.raises(FormatError):
        StorePath(digest, "a")


def test_paths_are_in_the_order_of_their_text() -> None:
    paths = [StorePath("1" + "0" * 31, "a"), StorePath("0" * 32, "b"), StorePath("0" * 32, "a")]
    assert sorted(paths) == sorted(paths, key=str)


def test_references_are_a_set() -> None:
    assert recursive_path("a", SHA256, [PATH, OTHER]) == recursive_path("a", SHA256, [OTHER, PATH, OTHER])
    assert recursive_path("a", SHA256, [PATH]) != recursive_path("a", SHA256)
    assert text_path("a", SHA256, [PATH]) != text_path("a", SHA256)


def test_only_sha256_has_these_paths() -> None:
    for path_of in (flat_path, recursive_path, text_path):
        with pytest.raises(FormatError, match="expected a sha256, found a sha1"):
            path_of("a", SHA1)
    with pytest.raises(FormatError, match="expected a sha256"):
        ContentAddress("text", SHA1)


def test_content_addresses() -> None:
    assert flat_content_address(SHA256) == f"fixed:sha256:{SHA256.nix32()}"
    assert recursive_content_address(SHA256) == f"fixed:r:sha256:{SHA256.nix32()}"
    assert str(ContentAddress("text", SHA256)) == f"text:sha256:{SHA256.nix32()}"
    assert parse_content_address(f"fixed:sha1:{SHA1.hex()}") == ContentAddress("flat", SHA1)


@pytest.mark.parametrize("method", ["flat", "recursive", "text"])
def test_content_address_round_trip(method: ContentAddressMethod) -> None:
    address = ContentAddress(method, SHA256)
    assert parse_content_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:", "fixed:r:", "fixed:git:sha1:00", "text:r:sha256:00", SHA256.nix_text()]
)
def test_what_is_no_content_address_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_content_address(text)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(FormatError, match="'nar'"):
        ContentAddress("nar", SHA256)  # type: ignore[arg-type]


def test_path_of_content_address() -> None:
    flat, recursive = ContentAddress("flat", SHA256), ContentAddress("recursive", SHA256)
    text = ContentAddress("text", SHA256)
    assert path_of_content_address("a", flat) == flat_path("a", SHA256)
    assert path_of_content_address("a", recursive, [PATH]) == recursive_path("a", SHA256, [PATH])
    assert path_of_content_address("a", text, [PATH]) == text_path("a", SHA256, [PATH])
    to_itself = path_of_content_address("a", recursive, [PATH], self_reference=True)
    assert to_itself != path_of_content_address("a", recursive, [PATH])


@pytest.mark.parametrize("address", [ContentAddress("flat", SHA256), ContentAddress("recursive", SHA1)], ids=str)
def test_fixed_outputs_have_no_references(address: ContentAddress) -> None:
    with pytest.raises(FormatError, match="cannot have references"):
        path_of_content_address("a", address, [PATH])


@pytest.mark.parametrize("address", [ContentAddress("flat", SHA256), ContentAddress("text", SHA256)], ids=str)
def test_only_trees_refer_to_themselves(address: ContentAddress) -> None:
    with pytest.raises(FormatError, match="cannot refer to itself"):
        path_of_content_address("a", address, self_reference=True)
