"""The index of a tar: what GNU tar and Python write is found where it lies, what could mean two things is refused."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.oci.tar_layer import END, file_header, padding
from hf_pack.formats.tar_index import FileInTar, files_in_tar

LONG = "hf-pack/" + "a" * 120 + "/" + "b" * 110 + ".json"
FILES = {
    "nix-cache-info": b"StoreDir: /nix/store\n",
    "nar/empty.nar": b"",
    "nar/block.nar": bytes(range(256)) * 2,
    "nar/more.nar": b"x" * 513,
    "hf-pack/naïve – 説明.json": b"{}",
    LONG: b"long",
}


def indexed(data: bytes) -> dict[str, FileInTar]:
    return files_in_tar(lambda offset, n: data[offset : offset + n], len(data))


def contents(data: bytes) -> dict[str, bytes]:
    return {path: data[file.offset : file.offset + file.size] for path, file in indexed(data).items()}


def written(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            archive.addfile(member, None)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for key, value in more.items():
        setattr(info, key, value)
    return info


def ours(files: dict[str, bytes]) -> bytes:
    return b"".join(file_header(path, len(data)) + data + padding(len(data)) for path, data in files.items()) + END


def test_what_we_write() -> None:
    assert contents(ours(FILES)) == FILES


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_python_writes(form: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, data in FILES.items():
            archive.addfile(member(path, size=len(data), mtime=1.5), io.BytesIO(data))
    assert contents(buffer.getvalue()) == FILES


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs tar")
@pytest.mark.parametrize("form", ["gnu", "pax", "ustar"])
def test_what_gnu_tar_makes_of_an_unpacked_cache(form: str, tmp_path: Path) -> None:
    files = {path: data for path, data in FILES.items() if form != "ustar" or path != LONG}
    for path, data in files.items():
        (tmp_path / "cache" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / path).write_bytes(data)
    made = ["tar", f"--format={form}", "-cf", str(tmp_path / "x.tar"), "-C", str(tmp_path / "cache"), "."]
    subprocess.run(made, check=True)
    assert contents((tmp_path / "x.tar").read_bytes()) == files


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 200 << 30])
@pytest.mark.parametrize("form", [None, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_size_past_8_gib(size: int, form: Literal[0, 1, 2] | None) -> None:
    """Of a file that is not there: only headers are read."""
    made = file_header("nar/a.nar", size) if form is None else member("nar/a.nar", size=size).tobuf(form)
    last = ours({"z": b"end"})
    end = len(made) + -(-size // 512) * 512

    def read(offset: int, n: int) -> bytes:
        assert offset < len(made) or offset >= end, "the file itself is not read"
        return made[offset : offset + n] if offset < len(made) else last[offset - end : offset - end + n]

    found = files_in_tar(read, end + len(last))
    assert found["nar/a.nar"] == FileInTar(offset=len(made), size=size)
    assert found["z"].size == 3


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a symbolic link": lambda: written(member("a", tarfile.SYMTYPE, linkname="/etc/passwd")),
    "a hard link": lambda: written(member("a", tarfile.LNKTYPE, linkname="b")),
    "a device": lambda: written(member("a", tarfile.CHRTYPE)),
    "a pipe": lambda: written(member("a", tarfile.FIFOTYPE)),
    "a link to a long place": lambda: written(
        member("a", tarfile.SYMTYPE, linkname="x" * 200), form=tarfile.GNU_FORMAT
    ),
    "a sparse file of GNU's": lambda: _as_kind(b"S"),
    "a sparse file of pax": lambda: written(member("a", pax_headers={"GNU.sparse.size": "999"})),
    "a contiguous file": lambda: _as_kind(b"7"),
    "a header for all": lambda: _as_kind(b"g"),
    "an unknown kind": lambda: _as_kind(b"Z"),
    "a path that leads up": lambda: written(member("nar/../../x")),
    "an absolute path": lambda: written(member("/nix-cache-info")),
    "an empty part": lambda: written(member("nar//x")),
    "a path that leads up, in pax": lambda: written(member("a", pax_headers={"path": "../x"})),
    "a name twice": lambda: written(member("a"), member("a")),
    "a name twice, one with a dot": lambda: written(member("a"), member("./a")),
    "a size that is no number": lambda: written(member("a", pax_headers={"size": "many"})),
    "a negative size": lambda: written(member("a", pax_headers={"size": "-1"})),
    "a size past the end": lambda: written(member("a", pax_headers={"size": "99999999"})),
    "a size past all": lambda: _as_kind(b"0", size=b"\xff" * 12),
    "a pax record that is longer than the header": lambda: _pax(b"99 path=b\n"),
    "a pax record without its end": lambda: _pax(b"9 path=bb"),
    "a pax record of no length": lambda: _pax(b"0 path=b\n"),
    "a pax header that nothing follows": lambda: _pax(b"10 path=b\n")[:1024] + END,
    "a name that is not UTF-8": lambda: written(member("a")).replace(b"a", b"\xff", 1),
    "no tar at all": lambda: b"PK\3\4" + bytes(2000),
    "nothing": lambda: b"",
    "the first block alone": lambda: ours({"a": b"x"})[:512],
    "no end": lambda: ours({"a": b"x"})[: -len(END)],
    "half an end": lambda: ours({"a": b"x"})[:-512],
    "another program's old form": lambda: ours({"a": b"x"}).replace(b"ustar\x0000", bytes(8)),
}


def _as_kind(kind: bytes, size: bytes = b"00000000000\0") -> bytes:
    block = bytearray(file_header("a", 0))
    block[156:157], block[124:136] = kind, size
    return _summed(block) + END


def _pax(records: bytes) -> bytes:
    block = bytearray(file_header("PaxHeaders/a", len(records)))
    block[156:157] = b"x"
    return _summed(block) + records + padding(len(records)) + ours({"a": b""})


def _summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_refused(what: str) -> None:
    with pytest.raises(FormatError):
        indexed(HOSTILE[what]())


def test_a_flipped_byte_of_a_header_is_refused_and_one_of_a_file_changes_that_file_alone() -> None:
    files = {"nix-cache-info": b"abc", LONG: b"x", "nar/a.nar": b"y" * 600}
    good = ours(files)
    ends = {path: file.offset for path, file in indexed(good).items()}
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0x11
        try:
            found = contents(bytes(damaged))
        except FormatError:
            continue
        assert found.keys() == files.keys() or _in_pax(position, good)
        changed = [path for path in files if found.get(path) != files[path]]
        assert len(changed) <= 1
        assert not changed or changed == [LONG] or position >= ends[changed[0]]


def _in_pax(position: int, good: bytes) -> bool:
    """A pax header's own text has no checksum; a wrong name there is a name that nobody asks for."""
    start = good.index(b" path=")
    return start - 3 <= position <= start + 6 + len(LONG)


def test_truncated_anywhere_it_is_refused() -> None:
    good = ours({"a": b"x" * 600, "b": b""})
    for left in range(len(good)):
        with pytest.raises(FormatError):
            indexed(good[:left])
