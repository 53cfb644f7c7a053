"""Image layers: tar archives that are the same bytes wherever and whenever they are made.

POSIX ustar (IEEE 1003.1): owner 0:0 without names, mtime 1, mode 0444 for files, 0755 for directories, 0777 for
links, no padding to records beyond the two zero blocks of the end. What ustar cannot say (names over 100 bytes that no
``/`` divides, names that are not ASCII, files of 8 GiB and more) is said by a pax extended header before the member.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hf_pack.formats.format_error import FormatError

MTIME = 1  #: seconds since the epoch
END = bytes(1024)
_BLOCK = 512
_MOST_OCTAL = 8**11  #: the first size that ustar's field does not hold
_MOST_MEMBERS = 200_000


@dataclass(frozen=True, slots=True)
class TarDirectory:
    """A directory."""


@dataclass(frozen=True, slots=True)
class TarLink:
    """A symbolic link."""

    target: str


TarMember = bytes | TarDirectory | TarLink


def file_header(path: str, size: int) -> bytes:
    """What stands before the bytes of a regular file."""
    return _header(path, b"0", 0o444, size=size)


def padding(size: int) -> bytes:
    """What stands after ``size`` bytes of a file."""
    return bytes(-size % _BLOCK)


def archive(members: Mapping[str, TarMember]) -> bytes:
    """A layer of small members, in the order of their paths."""
    parts = []
    for path, member in sorted(members.items()):
        match member:
            case TarDirectory():
                parts.append(_header(path + "/", b"5", 0o755))
            case TarLink(target):
                parts.append(_header(path, b"2", 0o777, target=target))
            case bytes():
                parts += [file_header(path, len(member)), member, padding(len(member))]
    return b"".join(parts) + END


def _header(path: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    records = {}
    divided = _divided(path)
    if divided is None:
        records["path"] = path
        divided = (b"", path.encode("ascii", "replace")[:100])
    link = target.encode("ascii", "replace")[:100]
    if not target.isascii() or len(target) > 100:
        records["linkpath"] = target
    if size >= _MOST_OCTAL:
        records["size"] = str(size)
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    pax = b""
    if body:
        name = b"PaxHeaders/" + divided[1][-80:].rstrip(b"/")
        pax = _block((b"", name), b"x", 0o444, len(body), b"") + body + padding(len(body))
    return pax + _block(divided, kind, mode, size if size < _MOST_OCTAL else 0, link)


def _block(divided: tuple[bytes, bytes], kind: bytes, mode: int, size: int, link: bytes) -> bytes:
    prefix, name = divided
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            b"%011o\0" % size,
            b"%011o\0" % MTIME,
            b" " * 8,
            kind,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _divided(path: str) -> tuple[bytes, bytes] | None:
    """Prefix and name as ustar holds them, None where it cannot."""
    if not path.isascii():
        return None
    data = path.encode()
    if len(data) <= 100:
        return b"", data
    for at in range(min(155, len(data) - 1), 0, -1):
        if data[at : at + 1] == b"/" and 0 < len(data) - at - 1 <= 100:
            return data[:at], data[at + 1 :]
    return None


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def read_archive(data: bytes) -> dict[str, TarMember]:
    """The members of a layer of small files. Raises FormatError for anything but files, directories and symbolic links,
    and for a path that is absolute, leads up, or comes twice."""
    members: dict[str, TarMember] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as opened:
            for info in _bounded(opened):
                path = checked_path(info.name)
                if path in members:
                    raise FormatError(f"{path!r} comes twice in the layer")
                if info.isdir():
                    members[path] = TarDirectory()
                elif info.issym():
                    members[path] = TarLink(info.linkname)
                elif info.isreg() and not info.issparse():
                    file = opened.extractfile(info)
                    members[path] = b"" if file is None else file.read()
                    if len(members[path]) != info.size:  # type: ignore[arg-type]
                        raise FormatError(f"{path!r} ends early in the layer")
                else:
                    raise FormatError(f"{path!r} is neither a file, a directory nor a symbolic link")
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"not a tar archive: {error}") from None
    return members


def checked_path(name: str) -> str:
    """A member's path without a final slash or leading ``./``. Raises FormatError for one that leads elsewhere."""
    path = name.removeprefix("./").removesuffix("/")
    parts = path.split("/")
    if not path or name.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise FormatError(f"{name!r} is not a path inside the layer")
    return path


def _bounded(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, info in enumerate(opened):
        if number >= _MOST_MEMBERS:
            raise FormatError(f"more than {_MOST_MEMBERS} members")
        yield info
