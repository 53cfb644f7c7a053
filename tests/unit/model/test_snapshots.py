from __future__ import annotations

import hashlib

from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import is_commit
from hf_pack.model.lock import FileDigest
from hf_pack.model.snapshots import content_id

A = ("a", FileDigest(size=1, sha256=Hash.sha256_of(b"x")))
B = ("b/c", FileDigest(size=2, sha256=Hash.sha256_of(b"yy")))


def test_the_id_is_the_documented_hash() -> None:
    text = f"hf-pack snapshot 1\0a\0{1}\0{hashlib.sha256(b'x').hexdigest()}\0"
    text += f"b/c\0{2}\0{hashlib.sha256(b'yy').hexdigest()}\0"
    assert content_id([B, A]) == hashlib.sha256(text.encode()).hexdigest()[:40]


def test_the_id_resolves_offline_and_does_not_depend_on_order() -> None:
    assert is_commit(content_id([A, B]))
    assert content_id([A, B]) == content_id([B, A])


def test_the_id_never_changes() -> None:
    assert content_id([A, B]) == "8d5a16cf061aadf6b3a2abc7704ff55df48642a7"


def test_every_part_of_a_file_counts() -> None:
    ids = {
        content_id([A]),
        content_id([A, B]),
        content_id([("b", A[1])]),
        content_id([("a", FileDigest(size=2, sha256=A[1].sha256))]),
        content_id([("a", FileDigest(size=1, sha256=B[1].sha256))]),
    }
    assert len(ids) == 5
