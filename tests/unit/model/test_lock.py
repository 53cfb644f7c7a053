from __future__ import annotations

import pytest

from hf_pack.formats.hashes import Hash
from hf_pack.model.hub_ids import RepoId, SnapshotKind
from hf_pack.model.lock import Blob, FileDigest, Lock, LockedFile, LockedSource, is_blob
from hf_pack.model.manifest import Selection

SHA256 = Hash.sha256_of(b"x")


@pytest.mark.parametrize(
    ("path", "size", "expected"),
    [
        ("model.safetensors", 0, True),
        ("sub/Model.SafeTensors", 1, True),
        ("config.json", 1_048_576, False),
        ("tokenizer.json", 1_048_577, True),
        ("model.safetensors.index.json", 10, False),
    ],
)
def test_a_blob_follows_from_name_and_size(path: str, size: int, expected: bool) -> None:
    assert is_blob(path, size) is expected
    assert LockedFile(path=path, size=size, sha256=SHA256).is_blob is expected


def test_what_lies_beside_the_lock() -> None:
    small = LockedFile(path="a.json", size=1, sha256=SHA256)
    large = LockedFile(path="t.json", size=2_000_000, sha256=SHA256)
    patched = LockedFile(path="t.json", size=2_000_000, sha256=SHA256, original=FileDigest(size=1, sha256=SHA256))
    assert [file.kept_beside_lock for file in (small, large, patched)] == [True, False, True]


def test_a_blob_is_named_after_its_base_name_and_shared() -> None:
    files = (
        LockedFile(path="a/.m.gguf", size=1, sha256=SHA256),
        LockedFile(path="b/.m.gguf", size=1, sha256=SHA256),
        LockedFile(path="c.json", size=7, sha256=SHA256),
    )
    lock = Lock(
        layout_version=1,
        source=LockedSource(repo_id=RepoId(None, "x"), snapshot_id="a", snapshot_kind=SnapshotKind.FINGERPRINT),
        selection=Selection(),
        files=files,
    )
    assert lock.blobs == (Blob(name="_.m.gguf", sha256=SHA256, size=1),)
    assert lock.blobs[0].store_path.name == "_.m.gguf"
    assert lock.size == 9
