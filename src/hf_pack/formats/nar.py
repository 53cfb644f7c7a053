"""The Nix archive (NAR): a file tree as one canonical byte stream, its size and its hash.

A NAR holds regular files with an executable bit, symbolic links and directories, and no owner, time or
other permission, so that equal trees give equal bytes. Every item is a token: its length as an unsigned
64-bit little-endian number, its bytes, zero bytes up to a multiple of 8 (Nix manual, "Nix Archive").
Names and link targets are bytes, as the file system has them. ``nar_reader`` reads the stream back:
``parse(b"".join(dump(node))) == node``, and ``size(node)`` is the length of ``dump(node)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.hashes import Hash, HashAlgorithm

MAX_NAME_LENGTH = 255  # NAME_MAX of Linux
MAX_TARGET_LENGTH = 4095  # PATH_MAX of Linux, less the final NUL
MAX_FILE_SIZE = 2**63 - 1
MAX_DEPTH = 256  # directories within directories

# On macOS Nix strips this suffix and a number from names when it restores a NAR.
_CASE_HACK = b"~nix~case~hack~"


def token(data: bytes) -> bytes:
    """Return ``data`` with its length before and its padding after it."""
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def token_size(n: int) -> int:
    """Return the size of the token of ``n`` bytes."""
    return 8 + n + -n % 8


def _tokens(*words: bytes) -> bytes:
    return b"".join(map(token, words))


_MAGIC = token(b"nix-archive-1")
_CLOSE = token(b")")
_FILE = _tokens(b"(", b"type", b"regular", b"contents")
_EXECUTABLE_FILE = _tokens(b"(", b"type", b"regular", b"executable", b"", b"contents")
_SYMLINK = _tokens(b"(", b"type", b"symlink", b"target")
_DIRECTORY = _tokens(b"(", b"type", b"directory")
_ENTRY_NAME = _tokens(b"entry", b"(", b"name")
_ENTRY_NODE = token(b"node")

MAGIC_SIZE = len(_MAGIC)  # bytes before the root node
DIRECTORY_HEADER_SIZE = len(_DIRECTORY)  # bytes of a directory before its first entry
CLOSE_SIZE = len(_CLOSE)  # bytes after the last entry, and after the node of each entry


@dataclass(frozen=True, slots=True)
class NarFile:
    """A regular file whose bytes are in memory."""

    contents: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class NarOpaqueFile:
    """A regular file whose bytes come from elsewhere when they are wanted.

    ``size`` is in bytes. ``chunks`` gives the bytes from the start, each time that it is called; giving
    more or fewer than ``size`` makes ``dump`` fail. Raises ``FormatError`` for a size that is none.
    """

    size: int
    chunks: Callable[[], Iterable[bytes]] = field(repr=False)
    executable: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_FILE_SIZE:
            raise FormatError(f"not a file size: {self.size}")


@dataclass(frozen=True, slots=True)
class NarSymlink:
    """A symbolic link; ``target`` is any text of 1 to 4095 bytes without NUL, else ``FormatError``."""

    target: bytes

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True, slots=True)
class NarDirectory:
    """A directory: (name, node) pairs in the raw byte order of the names.

    Raises ``FormatError`` for a bad name (see ``check_entry_name``), for names out of order or twice, and for
    more than ``MAX_DEPTH`` directories within each other. ``directory`` sorts a mapping.
    """

    entries: tuple[tuple[bytes, NarNode], ...]
    _depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        previous = b""
        depth = 1
        for name, node in self.entries:
            check_entry_name(name, previous)
            previous = name
            if isinstance(node, NarDirectory):
                depth = max(depth, node._depth + 1)
        if depth > MAX_DEPTH:
            raise FormatError(f"more than {MAX_DEPTH} directories within each other")
        object.__setattr__(self, "_depth", depth)


NarNode: TypeAlias = NarFile | NarOpaqueFile | NarSymlink | NarDirectory


def directory(entries: Mapping[bytes, NarNode]) -> NarDirectory:
    """Return the directory with these entries, put in order; raises as ``NarDirectory`` does."""
    return NarDirectory(tuple(sorted(entries.items(), key=lambda entry: entry[0])))


def check_entry_name(name: bytes, previous: bytes = b"") -> None:
    """Raise ``FormatError`` unless ``name`` can follow the entry ``previous`` in a directory.

    A name has 1 to 255 bytes, no slash and no NUL, is not ``.`` or ``..``, does not contain Nix's marker
    for names that differ only in case (which macOS would strip), and is greater than the one before it.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise FormatError(f"an entry name has 1 to {MAX_NAME_LENGTH} bytes, not {len(name)}")
    if name in (b".", b"..") or b"/" in name or b"\0" in name or _CASE_HACK in name:
        raise FormatError(f"not an entry name: {name!r}")
    if name <= previous:
        problem = "twice" if name == previous else f"after {previous!r}, out of order"
        raise FormatError(f"entry {name!r} comes {problem}")


def check_target(target: bytes) -> None:
    """Raise ``FormatError`` unless ``target`` can be the target of a symbolic link."""
    if not 1 <= len(target) <= MAX_TARGET_LENGTH:
        raise FormatError(f"a link target has 1 to {MAX_TARGET_LENGTH} bytes, not {len(target)}")
    if b"\0" in target:
        raise FormatError(f"a link target cannot hold NUL: {target!r}")


def dump(node: NarNode) -> Iterator[bytes]:
    """Yield the NAR of ``node`` in pieces.

    Raises ``FormatError`` when an opaque file gives more or fewer bytes than its size; what was yielded
    until then is no NAR.
    """
    for section in sections(node):
        if isinstance(section, bytes):
            yield section
        else:
            yield from _exactly(section)


def sections(node: NarNode) -> Iterator[bytes | NarOpaqueFile]:
    """Yield the NAR of ``node`` with each opaque file in the place of its contents, none of which is read."""
    yield _MAGIC
    rest: list[NarNode | bytes] = [node]
    while rest:
        item = rest.pop()
        match item:
            case bytes():
                yield item
            case NarFile():
                yield _file_start(len(item.contents), item.executable) + item.contents
                yield file_trailer(len(item.contents))
            case NarOpaqueFile():
                yield _file_start(item.size, item.executable)
                yield item
                yield file_trailer(item.size)
            case NarSymlink():
                yield _SYMLINK + token(item.target) + _CLOSE
            case _:  # NarDirectory
                yield _DIRECTORY
                rest.append(_CLOSE)
                for name, child in reversed(item.entries):
                    rest += (_CLOSE, child, _ENTRY_NAME + token(name) + _ENTRY_NODE)


def size(node: NarNode) -> int:
    """Return the NAR's size in bytes from metadata alone: no opaque file is read."""
    total = MAGIC_SIZE
    rest = [node]
    while rest:
        item = rest.pop()
        match item:
            case NarFile():
                total += _file_node_size(len(item.contents), item.executable)
            case NarOpaqueFile():
                total += _file_node_size(item.size, item.executable)
            case NarSymlink():
                total += len(_SYMLINK) + token_size(len(item.target)) + CLOSE_SIZE
            case _:  # NarDirectory
                total += DIRECTORY_HEADER_SIZE + CLOSE_SIZE
                for name, child in item.entries:
                    total += entry_header_size(name) + CLOSE_SIZE
                    rest.append(child)
    return total


def hash_and_size(node: NarNode) -> tuple[Hash, int]:
    """Return the NAR hash (sha256) and the NAR size in bytes; raises as ``dump`` does."""
    hasher = hashlib.sha256()
    length = 0
    for piece in dump(node):
        hasher.update(piece)
        length += len(piece)
    return Hash(HashAlgorithm.SHA256, hasher.digest()), length


def file_size(n: int) -> int:
    """Return the size of the NAR of one non-executable file of ``n`` bytes."""
    return MAGIC_SIZE + _file_node_size(n, executable=False)


def file_header(n: int) -> bytes:
    """Return the 96 bytes before the contents in the NAR of one non-executable file of ``n`` bytes.

    The NAR is ``file_header(n)``, the contents, ``file_trailer(n)``, so that it can be hashed and sent
    without ever being stored.
    """
    return _MAGIC + _file_start(n, executable=False)


def file_trailer(n: int) -> bytes:
    """Return the padding and the end after ``n`` bytes of contents."""
    return bytes(-n % 8) + _CLOSE


def contents_offset(executable: bool) -> int:
    """Return the number of bytes of a file's node before its contents."""
    return len(_EXECUTABLE_FILE if executable else _FILE) + 8


def entry_header_size(name: bytes) -> int:
    """Return the number of bytes between the previous entry of a directory and the node of this one."""
    return len(_ENTRY_NAME) + token_size(len(name)) + len(_ENTRY_NODE)


def _file_start(n: int, executable: bool) -> bytes:
    return (_EXECUTABLE_FILE if executable else _FILE) + n.to_bytes(8, "little")


def _file_node_size(n: int, executable: bool) -> int:
    return contents_offset(executable) + n + len(file_trailer(n))


def _exactly(file: NarOpaqueFile) -> Iterator[bytes]:
    left = file.size
    for chunk in file.chunks():
        left -= len(chunk)
        if left < 0:
            raise FormatError(f"a file of {file.size} bytes gives more than that")
        yield chunk
    if left:
        raise FormatError(f"a file of {file.size} bytes gives only {file.size - left}")
