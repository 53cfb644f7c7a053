"""Image layers are the same bytes for ever, others' tars of them read back, and hostile ones are refused."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.tar_layer import (
    END,
    TarDirectory,
    TarLink,
    TarMember,
    archive,
    checked_path,
    file_header,
    padding,
    read_archive,
)

_PART = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=70).filter(
    lambda part: "/" not in part and part not in (".", "..") and len(part.encode()) < 255
)
_PATHS = st.lists(_PART, min_size=1, max_size=4).map("/".join)
_MEMBERS: st.SearchStrategy[TarMember] = st.one_of(
    st.binary(max_size=1500), st.just(TarDirectory()), st.builds(TarLink, _PATHS)
)


@given(st.dictionaries(_PATHS, _MEMBERS, max_size=6))
def test_what_is_written_is_read_back(members: dict[str, TarMember]) -> None:
    assert read_archive(archive(members)) == members


def test_the_bytes_stay_what_they_are() -> None:
    data = archive({"share": TarDirectory(), "share/a": b"hello", "share/b": TarLink("a"), "ü": b""})
    assert hashlib.sha256(data).hexdigest() == "884b218cffae360d1397301900828eeea18da3bc837d0db8d526b62a70f02ddb"


def test_python_s_own_reader_sees_owner_time_and_mode() -> None:
    data = archive({"d": TarDirectory(), "d/f": b"x" * 700, "d/l": TarLink("f")})
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        seen = {one.name: (one.mode, one.uid, one.gid, one.mtime, one.size, one.uname) for one in opened}
    assert seen == {
        "d": (0o755, 0, 0, 1, 0, ""),
        "d/f": (0o444, 0, 0, 1, 700, ""),
        "d/l": (0o777, 0, 0, 1, 0, ""),
    }


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**11 - 1, 8**11, 2**40])
def test_a_file_of_any_size_has_its_header(size: int) -> None:
    header = file_header("share/models/model.safetensors", size)
    with tarfile.open(fileobj=io.BytesIO(header + END)) as opened:
        (info,) = opened.getmembers() if size < 1 else [opened.next()]
    assert info is not None and (info.name, info.size) == ("share/models/model.safetensors", size)
    assert (len(header) + size + len(padding(size))) % 512 == 0


def _tar(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for member in members:
            opened.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def _member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


@pytest.mark.parametrize(
    "data",
    [
        _tar(_member("../etc/passwd")),
        _tar(_member("/etc/passwd")),
        _tar(_member("a/../../b")),
        _tar(_member("a//b")),
        _tar(_member("a", tarfile.LNKTYPE, link="b")),
        _tar(_member("a", tarfile.CHRTYPE)),
        _tar(_member("a", tarfile.FIFOTYPE)),
        _tar(_member("a"), _member("a")),
        _tar(_member("a", size=5000))[:1500],
        b"no tar at all" * 100,
        file_header("a", 2**50) + bytes(512),
    ],
)
def test_what_is_no_plain_tree_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_archive(data)


def test_paths_of_other_writers_are_made_one() -> None:
    assert checked_path("./a/b/") == "a/b"
