from __future__ import annotations

import hashlib

import pytest

from hf_pack.formats.fingerprint import fingerprint
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm
from hf_pack.formats.store_path import StorePath

PATH = StorePath("1" * 32, "a")
OTHER = StorePath("0" * 32, "b")
NAR_HASH = Hash.sha256_of(b"")


def test_fingerprint() -> None:
    start = f"1;/nix/store/{'1' * 32}-a;sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;120;"
    assert fingerprint(PATH, NAR_HASH, 120) == start
    listed = f"/nix/store/{'0' * 32}-b,/nix/store/{'1' * 32}-a"
    assert fingerprint(PATH, NAR_HASH, 120, [PATH, OTHER, PATH]) == start + listed


def test_what_nix_does_not_sign_is_refused() -> None:
    with pytest.raises(FormatError, match="positive"):
        fingerprint(PATH, NAR_HASH, 0)
    with pytest.raises(FormatError, match="sha1"):
        fingerprint(PATH, Hash(HashAlgorithm.SHA1, hashlib.sha1().digest()), 120)
