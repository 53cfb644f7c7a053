"""Paths that real Nix gave.

All by Nix 2.8.0 for ``hello.txt`` with the content ``hello\\n`` and ``tree`` with that file, a link
``link`` to ``hello.txt`` and an empty directory ``empty``:

    nix-store --add-fixed ALGORITHM hello.txt
    nix-store --add-fixed --recursive ALGORITHM tree
    nix-hash --flat --type ALGORITHM hello.txt; nix-hash --type ALGORITHM tree    # and with --base32
    nix hash file --type ALGORITHM --sri hello.txt
"""

from __future__ import annotations

import pytest

from hf_pack.formats import nar
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.nar import NarFile, NarSymlink, directory
from hf_pack.formats.store_path import (
    ContentAddress,
    StorePath,
    flat_path,
    parse_content_address,
    path_of_content_address,
    recursive_path,
    text_path,
)

HELLO = b"hello\n"
TREE = directory({b"hello.txt": NarFile(HELLO), b"link": NarSymlink(b"hello.txt"), b"empty": directory({})})

# algorithm, hash of hello.txt in hexadecimal, nix32 and SRI, its path, hash of the NAR of tree, its path
ADDED = [
    (
        "md5",
        "b1946ac92492d2347c6235b4d2611184",
        "4425hx5d1mc9y39llj4k4nm55i",
        "md5-sZRqySSS0jR8YjW00mERhA==",
        "/nix/store/dra1cz5vbrhclpv4y1q0psnbkxz581bk-hello.txt",
        "728c7fde7c130c87689b85637f12e25b",
        "/nix/store/khhmk0djg6xjyca7hiac249hzvwwclc7-tree",
    ),
    (
        "sha1",
        "f572d396fae9206628714fb2ce00f72e94f2258f",
        "iwjz551fyw0cxcjgf4l6c879zabd6wpm",
        "sha1-9XLTlvrpIGYocU+yzgD3LpTyJY8=",
        "/nix/store/svdva85yi507g9vncgsaxvnd1r808h4w-hello.txt",
        "bb3aaac02830072896052300a3cbd15f33481924",
        "/nix/store/sl2swb8n3ndrdl85abryq2flqm4649bl-tree",
    ),
    (
        "sha256",
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
        "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
        "/nix/store/gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt",
        "b0940943401c1c1d16cb221e2e814ef350c952ad38ff4a7a680b0d90c86c90cf",
        "/nix/store/549k0lrlwdg1zi2fvrivhnwk0z4dpixf-tree",
    ),
    (
        "sha512",
        "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931"
        "f94aae41edda2c2b207a36e10f8bcb8d45223e54878f5b316e7ce3b6bc019629",
        "0lrc0dwnvipqviibf7qfm1y492qvjwb1zhkcyi05cndmva1mr5gjcgrnz1x36djmk0sfg8djd2n0qv68vib2jg590mwznar9jcjphp7",
        "sha512-58IrmUxZ2c8rSOVJseJGZmNgRZMNPafBrLKZ0cO3+TH5Sq5B7dosKyB6NuEPi8uNRSI+VIePWzFufOO2vAGWKQ==",
        "/nix/store/9a8mxachqmcv8x2cfijdps9dyxgyyrzm-hello.txt",
        "826f532a3c4b5157e7a2c8e86c997ec3c06f596bbccf88db1a7d7acdba6910c1"
        "261cdb508851de84f4b44fb2d543c8a5bd3f100a7cf7ab76c21b04576f350593",
        "/nix/store/nmxj0r7zn1qr38hygids5d8wzw3vkr07-tree",
    ),
]


@pytest.mark.parametrize(("name", "hexadecimal", "nix32", "sri", "path", "tree_hash", "tree_path"), ADDED)
def test_added_objects(
    name: str, hexadecimal: str, nix32: str, sri: str, path: str, tree_hash: str, tree_path: str
) -> None:
    algorithm = HashAlgorithm(name)
    flat = Hash.parse(hexadecimal, algorithm)
    assert (flat.nix32(), flat.sri()) == (nix32, sri)
    assert str(path_of_content_address("hello.txt", ContentAddress("flat", flat))) == path
    recursive = ContentAddress("recursive", Hash.parse(tree_hash, algorithm))
    assert str(path_of_content_address("tree", recursive)) == tree_path


def test_sha256_paths() -> None:
    assert str(flat_path("hello.txt", Hash.sha256_of(HELLO))) == ADDED[2][4]
    nar_hash, _ = nar.hash_and_size(TREE)
    assert nar_hash.hex() == ADDED[2][5]
    assert str(recursive_path("tree", nar_hash)) == ADDED[2][6]


def test_text_paths() -> None:
    # nix-instantiate --eval -E 'builtins.toFile "plain.txt" "hello\n"'
    # nix-instantiate --eval -E 'builtins.toFile "refers.txt" "${builtins.toFile "plain.txt" "hello\n"}\n"'
    plain = text_path("plain.txt", Hash.sha256_of(HELLO))
    assert str(plain) == "/nix/store/an573i3k6x2sjlwsdmgllhwch18xq4mg-plain.txt"
    refers = text_path("refers.txt", Hash.sha256_of(f"{plain}\n".encode()), [plain])
    assert str(refers) == "/nix/store/pvcppw4hj0nc3awcldl0mz42ldybkyv0-refers.txt"


def test_path_with_references_to_itself_and_another() -> None:
    # nix store make-content-addressed /nix/store/00000000000000000000000000000000-refers-1.0
    # of a file that holds its own path and that of plain.txt; then nix path-info --json.
    plain = StorePath.parse("/nix/store/ykqkpv6sqvdb4x40wgikypk4a6wcpc03-plain.txt")
    address = parse_content_address("fixed:r:sha256:0pcxn2y09h9w0gqw5vv0vc2174zh77xxsfqg2rca4kr3v0lnqiz0")
    path = path_of_content_address("refers-1.0", address, [plain], self_reference=True)
    assert str(path) == "/nix/store/82d4c5xs6j472r3hid8zcrj2g70jj4c0-refers-1.0"
