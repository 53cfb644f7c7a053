"""The tar that Nix unpacks."""

from __future__ import annotations

import io
import tarfile

import pytest
from tests import sample_package

from hf_pack.expressions.layout_tar import layout_tar
from hf_pack.model.lock import Blob
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.plan import RegularFile, Symlink


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("storage", Storage)
def test_it_holds_every_entry_but_the_weights(layout: Layout, storage: Storage) -> None:
    plan = sample_package.plan(layout, storage)
    directories, found = set(), {}
    with tarfile.open(fileobj=io.BytesIO(layout_tar(plan))) as archive:
        for member in archive:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            if member.isdir():
                directories.add(member.name)
            elif member.issym():
                found[member.name] = member.linkname.encode()
            else:
                file = archive.extractfile(member)
                assert file is not None and member.mode == 0o644
                found[member.name] = file.read()
    wanted = {}
    for entry in plan.entries:
        match entry:
            case Symlink(path=path, target=target):
                wanted[path] = target.encode()
            case RegularFile(path=path, contents=bytes() as contents):
                wanted[path] = contents
            case RegularFile(contents=Blob()):
                assert storage is Storage.SELF_CONTAINED
    assert found == wanted
    # weights are copied into directories that are there already, and one directory is at the top
    assert {entry.path.rpartition("/")[0] for entry in plan.entries} <= directories
    assert {name.split("/")[0] for name in directories | set(found)} == {"share"}


def test_a_directory_comes_before_what_is_in_it_and_equal_plans_give_equal_bytes() -> None:
    data = layout_tar(sample_package.plan())
    assert data == layout_tar(sample_package.plan())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    for position, name in enumerate(names):
        parent = name.rpartition("/")[0]
        assert not parent or parent in names[:position]
