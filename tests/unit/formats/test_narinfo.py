from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.narinfo import NarInfo
from hf_pack.formats.store_path import (
    ContentAddress,
    StorePath,
    flat_path,
    path_of_content_address,
    recursive_path,
)

NAR_HASH = Hash.sha256_of(b"nar")
SHA1 = Hash(HashAlgorithm.SHA1, hashlib.sha1(b"nar").digest())
LIBRARY = StorePath("0" * 32, "library")
PATH = recursive_path("tree", NAR_HASH, [LIBRARY])
FULL = NarInfo(
    store_path=PATH,
    url="nar/x.nar.zst",
    compression="zstd",
    file_hash=Hash.sha256_of(b"file"),
    file_size=100,
    nar_hash=NAR_HASH,
    nar_size=120,
    references=(LIBRARY,),
    deriver=StorePath("1" * 32, "tree.drv"),
    signatures=("a-1:AAAA", "b-1:AAAA"),
    content_address=ContentAddress("recursive", NAR_HASH),
)
LEAST = NarInfo(store_path=PATH, url="nar/x.nar", nar_hash=NAR_HASH, nar_size=120)
TEXT = f"""\
StorePath: {PATH}
URL: nar/x.nar.zst
Compression: zstd
FileHash: {Hash.sha256_of(b"file").nix_text()}
FileSize: 100
NarHash: {NAR_HASH.nix_text()}
NarSize: 120
References: {LIBRARY.base_name}
Deriver: {"1" * 32}-tree.drv
Sig: a-1:AAAA
Sig: b-1:AAAA
CA: fixed:r:{NAR_HASH.nix_text()}
"""


def without(field: str) -> str:
    return "".join(line for line in TEXT.splitlines(True) if not line.startswith(f"{field}: "))


def test_text() -> None:
    assert FULL.format() == TEXT
    assert NarInfo.parse(TEXT) == FULL


def test_least_text() -> None:
    text = LEAST.format()
    assert [line.split(":")[0] for line in text.splitlines()] == [
        *("StorePath", "URL", "Compression", "NarHash", "NarSize", "References")
    ]
    assert "References: \n" in text
    assert NarInfo.parse(text) == LEAST


def test_references_and_signatures_are_sets() -> None:
    twice = replace(FULL, references=(PATH, LIBRARY, PATH), signatures=("b-1:AAAA", "a-1:AAAA", "b-1:AAAA"))
    assert twice.references == tuple(sorted([PATH, LIBRARY]))
    assert twice.signatures == FULL.signatures


def test_unknown_fields_are_ignored() -> None:
    assert NarInfo.parse("System: x86_64-linux\n" + TEXT + "Note: a: b\nNote: c\n") == FULL


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("FileHash", "file_hash"),
        ("FileSize", "file_size"),
        ("References", "references"),
        ("Deriver", "deriver"),
        ("Sig", "signatures"),
        ("CA", "content_address"),
    ],
)
def test_fields_that_may_be_absent(field: str, name: str) -> None:
    absent = () if name in ("references", "signatures") else None
    changed = NarInfo.parse(without(field))
    assert getattr(changed, name) == absent
    assert replace(changed, **{name: getattr(FULL, name)}) == FULL


def test_absent_values() -> None:
    assert NarInfo.parse(without("Compression")).compression == "bzip2"
    assert NarInfo.parse(without("Deriver") + "Deriver: unknown-deriver\n").deriver is None
    assert NarInfo.parse(without("CA") + "CA: \n").content_address is None


@pytest.mark.parametrize("field", ["StorePath", "URL", "NarHash", "NarSize"])
def test_fields_that_may_not_be_absent(field: str) -> None:
    with pytest.raises(FormatError, match=f"has no {field}"):
        NarInfo.parse(without(field))


@pytest.mark.parametrize("field", [line.split(":")[0] for line in TEXT.splitlines() if line[:3] != "Sig"])
def test_a_field_twice_is_refused(field: str) -> None:
    line = next(line for line in TEXT.splitlines(True) if line.startswith(f"{field}: "))
    with pytest.raises(FormatError, match=f"has {field} twice"):
        NarInfo.parse(TEXT + line)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (TEXT, "", "line end"),
        (TEXT, TEXT[:-1], "line end"),
        (TEXT, TEXT + "\n", "not a line"),
        ("URL: ", "URL:", "not a line"),
        (str(PATH), PATH.base_name, "not a path in"),
        ("nar/x.nar.zst", "", "URL is one word"),
        ("nar/x.nar.zst", "nar/x y", "URL is one word"),
        ("nar/x.nar.zst", "nar/é", "URL is one word"),
        ("Compression: zstd", "Compression: ", "Compression is one word"),
        ("NarSize: 120", "NarSize: 0", "NarSize is positive"),
        ("NarSize: 120", "NarSize: -1", "not a size"),
        ("NarSize: 120", "NarSize: 1_0", "not a size"),
        ("NarSize: 120", "NarSize: ١", "not a size"),
        ("NarSize: 120", "NarSize: " + "9" * 5000, "not a size"),
        ("FileSize: 100", "FileSize: x", "not a size"),
        (NAR_HASH.nix_text(), SHA1.nix_text(), "NarHash is a sha256, not a sha1"),
        (NAR_HASH.nix_text(), NAR_HASH.nix32(), "without its algorithm"),
        (LIBRARY.base_name, str(LIBRARY), "not the base name"),
        ("tree.drv", "tree drv", "cannot be in a store name"),
        ("Sig: a-1:AAAA", "Sig: a-1", "Sig is"),
        ("Sig: a-1:AAAA", "Sig: a-1:AA AA", "Sig is"),
        ("CA: fixed:r:", "CA: fixed:git:", "unknown hash algorithm"),
    ],
)
def test_what_is_no_narinfo_is_refused(old: str, new: str, problem: str) -> None:
    assert old in TEXT
    with pytest.raises(FormatError, match=problem):
        NarInfo.parse(TEXT.replace(old, new))


def test_the_error_names_the_path() -> None:
    with pytest.raises(FormatError, match=f"narinfo of {PATH}: not a size"):
        NarInfo.parse(TEXT.replace("FileSize: 100", "FileSize: x"))


def test_values_that_cannot_stand_in_the_file_are_refused() -> None:
    with pytest.raises(FormatError, match="URL"):
        replace(FULL, url="x\nSig: a")
    with pytest.raises(FormatError, match="FileSize"):
        replace(FULL, file_size=-1)


def test_signing() -> None:
    listed = f"{PATH};{NAR_HASH.nix_text()};120;{LIBRARY}"
    assert FULL.fingerprint() == f"1;{listed}"
    signed = FULL.with_signature("a-2:AAAA")
    assert signed.signatures == ("a-1:AAAA", "a-2:AAAA", "b-1:AAAA")
    assert signed.fingerprint() == FULL.fingerprint()


FILE_HASH = Hash.sha256_of(b"contents")
FLAT = replace(LEAST, store_path=flat_path("blob", FILE_HASH), content_address=ContentAddress("flat", FILE_HASH))
ITSELF = path_of_content_address("tree", ContentAddress("recursive", FILE_HASH), [LIBRARY], self_reference=True)


@pytest.mark.parametrize(
    ("info", "holds"),
    [
        (FULL, True),
        (FLAT, True),
        (replace(FULL, content_address=None), False),
        (replace(FULL, references=()), False),
        (replace(FULL, references=(LIBRARY, PATH)), False),
        (replace(FULL, store_path=StorePath("0" * 32, "tree")), False),
        (replace(FULL, store_path=StorePath(PATH.digest, "other")), False),
        (replace(FULL, nar_hash=FILE_HASH), False),
        (replace(FULL, content_address=ContentAddress("recursive", FILE_HASH)), False),
        (replace(FULL, content_address=ContentAddress("flat", NAR_HASH)), False),
        (replace(FLAT, references=(LIBRARY,)), False),
        (
            replace(
                LEAST,
                store_path=path_of_content_address("tree", ContentAddress("recursive", SHA1)),
                content_address=ContentAddress("recursive", SHA1),
            ),
            True,
        ),
        (
            # The hash of a tree that refers to itself is not of its NAR, but of the NAR with that masked.
            replace(
                FULL,
                store_path=ITSELF,
                references=(ITSELF, LIBRARY),
                content_address=ContentAddress("recursive", FILE_HASH),
            ),
            True,
        ),
    ],
)
def test_content_address_holds(info: NarInfo, holds: bool) -> None:
    assert info.content_address_holds() is holds
