from __future__ import annotations

import json

import pytest

from hf_pack.formats.hashes import Hash
from hf_pack.formats.store_path import StorePath
from hf_pack.model.record import PackageRecord, RecordError, parse

DIGEST = "0123456789abcdfghijklmnpqrsvwxyz"
RECORD = PackageRecord(
    store_path=StorePath(DIGEST, "x-1.0+0000000"),
    nar_hash=Hash.sha256_of(b"nar"),
    nar_size=120,
    references=(StorePath(DIGEST, "model.safetensors"),),
    plan_digest=Hash.sha256_of(b"plan"),
    lock_digest=Hash.sha256_of(b"lock"),
)


def test_a_record_is_read_back() -> None:
    assert parse(RECORD.format()) == RECORD


def test_a_record_is_readable() -> None:
    document = json.loads(RECORD.format())
    assert document["store_path"] == f"/nix/store/{DIGEST}-x-1.0+0000000"
    assert document["nar_hash"].startswith("sha256-")
    assert document["nar_size"] == 120
    assert RECORD.format().endswith(b"}\n")


def test_all_problems_come_at_once() -> None:
    document = json.loads(RECORD.format())
    del document["store_path"]
    document |= {"nar_size": True, "references": ["x", 1], "lock_digest": "abc", "extra": 1}
    with pytest.raises(RecordError) as caught:
        parse(json.dumps(document).encode())
    assert [problem.path for problem in caught.value.problems] == [
        "extra", "store_path", "nar_size", "references[1]", "references[0]", "lock_digest",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON: "),
        (b"[]", "not a record: expected an object, found []"),
        (b'{"store_path": "/x"}', "store_path: not a path in /nix/store: '/x'"),
    ],
)
def test_what_is_no_record(text: bytes, message: str) -> None:
    with pytest.raises(RecordError) as caught:
        parse(text)
    assert message in str(caught.value)
