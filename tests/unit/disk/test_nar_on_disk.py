"""A NAR that is read from any place is the NAR that is written from its start."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_pack.disk.nar_on_disk import FilePart, NarOnDisk
from hf_pack.disk.object_hash import hash_tree, node_of
from hf_pack.formats import nar


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    (root / "b").mkdir()
    (root / "empty").mkdir()
    (root / "b" / "weights").write_bytes(bytes(range(256)) * 13)
    (root / "b" / "nothing").write_bytes(b"")
    (root / "a").write_bytes(b"abc")
    (root / "a").chmod(0o755)
    (root / "link").symlink_to("../elsewhere")
    return root


@given(data=st.data())
def test_every_range_is_that_of_the_whole(tree: Path, data: st.DataObject) -> None:
    whole = b"".join(nar.dump(node_of(tree)))
    found = NarOnDisk(tree)
    assert found.size == len(whole) == hash_tree(tree, lambda _size: None).nar_size
    offset = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, len(whole)))
    assert b"".join(found.chunks(offset, size)) == whole[offset : offset + size]


def test_a_flat_file_is_a_header_the_file_and_a_trailer(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"12345")
    found = NarOnDisk(tmp_path / "blob")
    assert list(found.parts(0, found.size)) == [
        nar.file_header(5),
        FilePart(path=tmp_path / "blob", offset=0, size=5),
        nar.file_trailer(5),
    ]


def test_a_file_that_got_shorter_is_no_nar(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"12345")
    found = NarOnDisk(tmp_path / "blob")
    (tmp_path / "blob").write_bytes(b"123")
    with pytest.raises(OSError, match="shorter"):
        list(found.chunks(0, found.size))
