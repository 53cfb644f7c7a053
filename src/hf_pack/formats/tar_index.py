"""Where the files of a tar archive lie, found from its headers alone, so that they can be read in place.

Read are POSIX ustar and pax (IEEE Std 1003.1, "pax"), and what GNU tar writes: long names, sizes in base 256. An
archive that could mean two things to two programs is refused: links, special and sparse files, names that come twice or
lead out of it, a header whose checksum is wrong, an end that is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hf_pack.formats.format_error import FormatError

BLOCK = 512

_MOST_FILES = 200_000
_SHOWN = 200  #: characters of a name in a message
_MOST_EXTENDED = 1 << 20  #: bytes of a pax header or a long name
_USTAR, _GNU = b"ustar\x0000", b"ustar  \0"
_FILE, _OLD_FILE, _DIRECTORY, _PAX, _LONG_NAME = b"0", b"\0", b"5", b"x", b"L"
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"7": "a contiguous file",
    b"K": "a link",
    b"S": "a sparse file",
    b"M": "a part of a file",
    b"g": "a header for all that follows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInTar:
    """``size`` bytes from ``offset``, in bytes from the archive's beginning."""

    offset: int
    size: int


def files_in_tar(read: Callable[[int, int], bytes], size: int) -> dict[str, FileInTar]:
    """The regular files of an archive of ``size`` bytes by their names, without a leading ``./``.

    ``read(offset, n)`` gives ``n`` bytes, less only at the end. Directories are passed over. Raises FormatError.
    """
    found: dict[str, FileInTar] = {}
    position = 0
    extended: dict[str, str] = {}
    while True:
        block = read(position, BLOCK)
        if len(block) < BLOCK:
            raise FormatError(f"it ends early: no end of the archive at byte {position}")
        if not any(block):
            if extended or read(position + BLOCK, BLOCK) != bytes(BLOCK):
                raise FormatError(f"it ends early: half an end at byte {position}")
            return found
        kind, name, length = _header(block, position)
        position += BLOCK
        if "size" in extended:
            length = _decimal(extended["size"], "size of the pax header")
        if position + length > size:
            raise FormatError(f"{extended.get('path', name)[:_SHOWN]!r} ends early")
        if kind in (_PAX, _LONG_NAME):
            if length > _MOST_EXTENDED or "path" in extended:
                raise FormatError(f"an extended header at byte {position} that makes no sense")
            data = read(position, length)
            extended |= _records(data) if kind == _PAX else {"path": _text(data.rstrip(b"\0"))}
        else:
            name = extended.get("path", name)
            extended = {}
            if kind != _DIRECTORY and not (kind == _OLD_FILE and name.endswith("/")):
                path = _checked(name)
                if path in found:
                    raise FormatError(f"{path[:_SHOWN]!r} comes twice")
                if len(found) == _MOST_FILES:
                    raise FormatError(f"it has more than {_MOST_FILES} files")
                found[path] = FileInTar(offset=position, size=length)
        position += -(-length // BLOCK) * BLOCK


def _header(block: bytes, position: int) -> tuple[bytes, str, int]:
    """Kind, name and size of what follows."""
    form = block[257:265]
    if form not in (_USTAR, _GNU):
        raise FormatError(f"no tar header at byte {position}" if position else "not a tar archive")
    if sum(block) - sum(block[148:156]) + 8 * 0x20 != _number(block[148:156], "checksum"):
        raise FormatError(f"the header at byte {position} has another checksum than it states")
    name = _text(block[:100].partition(b"\0")[0])
    if form == _USTAR and (prefix := block[345:500].partition(b"\0")[0]):
        name = f"{_text(prefix)}/{name}"
    kind = block[156:157]
    if kind not in (_FILE, _OLD_FILE, _DIRECTORY, _PAX, _LONG_NAME):
        what = _REFUSED.get(kind, f"of an unknown kind, {kind!r}")
        raise FormatError(f"{name[:_SHOWN]!r} is {what}: expected files alone")
    return kind, name, 0 if kind == _DIRECTORY else _number(block[124:136], "size")


def _number(field: bytes, what: str) -> int:
    """Octal digits, or with the first bit set a number in base 256, which is GNU's way past 8 GiB."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value >= 1 << 63:
            raise FormatError(f"a {what} that makes no sense")
        return value
    digits = field.split(b"\0")[0].strip(b" ")
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise FormatError(f"a {what} that is no number: {field!r}")
    return int(digits, 8)


def _records(data: bytes) -> dict[str, str]:
    """Path and size of a pax header, ``LENGTH KEY=VALUE\\n`` again and again; what is of no interest is passed over."""
    found: dict[str, str] = {}
    while data:
        length, space, _ = data[:20].partition(b" ")
        end = int(length) if space and length.isdigit() else 0
        key, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
        if not len(length) + 2 < end <= len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise FormatError("a pax header that is damaged")
        if key.startswith(b"GNU.sparse"):
            raise FormatError("a sparse file: expected files alone")
        if key in (b"path", b"size"):
            found[key.decode()] = _text(value)
        data = data[end:]
    return found


def _decimal(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise FormatError(f"a {what} that is no number: {text[:40]!r}")
    return int(text)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"a name that is not UTF-8: {data[:100]!r}") from None


def _checked(name: str) -> str:
    path = name.removeprefix("./")
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise FormatError(f"{name[:_SHOWN]!r} leads out of the archive")
    return path
