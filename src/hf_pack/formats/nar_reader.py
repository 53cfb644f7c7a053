"""Reading a NAR strictly, as a stream of events or as a tree in memory.

Exactly the streams that ``nar.dump`` can write are accepted. A stream that deviates raises
``FormatError`` where it does, after the events before that point were given: so whoever restores a NAR
writes to a staging place, and makes the result visible only when the events ended without an error.
Nothing is allocated on the word of a length field: names, targets and keywords have bounds, and contents
come in chunks.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from hf_pack.formats.format_error import FormatError
from hf_pack.formats.nar import (
    MAX_DEPTH,
    MAX_FILE_SIZE,
    MAX_NAME_LENGTH,
    MAX_TARGET_LENGTH,
    NarDirectory,
    NarFile,
    NarNode,
    NarSymlink,
    check_entry_name,
    check_target,
)

CHUNK_SIZE = 1 << 20  # bytes; the largest FileChunk
_MAX_KEYWORD_LENGTH = 16

NarPath: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DirectoryStart:
    """A directory begins; ``path`` is the names from the root, empty for the root itself."""

    path: NarPath


@dataclass(frozen=True, slots=True)
class DirectoryEnd:
    """The directory at ``path`` is complete."""

    path: NarPath


@dataclass(frozen=True, slots=True)
class FileStart:
    """A regular file begins: ``size`` bytes of contents, which lie ``nar_offset`` bytes into the NAR."""

    path: NarPath
    size: int
    executable: bool
    nar_offset: int


@dataclass(frozen=True, slots=True)
class FileChunk:
    """The next bytes of the file that began last; never empty, at most ``CHUNK_SIZE``."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file at ``path`` is complete."""

    path: NarPath


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; its target is any text, checked for nothing but its length and NUL."""

    path: NarPath
    target: bytes


NarEvent: TypeAlias = DirectoryStart | DirectoryEnd | FileStart | FileChunk | FileEnd | Symlink


def read_events(read: Callable[[int], bytes]) -> Iterator[NarEvent]:
    """Yield what a NAR holds, in its order.

    ``read(n)`` gives 1 to ``n`` bytes, or none at the end, like ``BufferedReader.read``; it is called
    often with small ``n``. The stream must end with the NAR. Raises ``FormatError``, see above.
    """
    source = _Source(read)
    source.expect(b"nix-archive-1")
    path: list[bytes] = []
    last_names: list[bytes] = []  # of each open directory
    yield from _read_node(source, path, last_names)
    while last_names:
        keyword = source.keyword()
        if keyword == b")":
            yield DirectoryEnd(tuple(path))
            last_names.pop()
            if path:
                path.pop()
                source.expect(b")")  # of the entry that held this directory
        elif keyword == b"entry":
            source.expect(b"(", b"name")
            name = source.text(MAX_NAME_LENGTH, "an entry name")
            check_entry_name(name, last_names[-1])
            last_names[-1] = name
            source.expect(b"node")
            path.append(name)
            depth = len(last_names)
            yield from _read_node(source, path, last_names)
            if len(last_names) == depth:  # not a directory: complete
                path.pop()
                source.expect(b")")
        else:
            raise FormatError(f"expected an entry or the end of a directory, found {keyword!r}")
    source.expect_end()


def parse(data: bytes) -> NarNode:
    """Return the tree of the NAR ``data``, with its contents in memory; raises ``FormatError``."""
    entries: list[list[tuple[bytes, NarNode]]] = [[]]  # of the root's place and of each open directory
    chunks: list[bytes] = []
    executable = False

    def add(path: NarPath, node: NarNode) -> None:
        entries[-1].append((path[-1] if path else b"", node))

    for event in read_events(io.BytesIO(data).read):
        match event:
            case DirectoryStart():
                entries.append([])
            case DirectoryEnd(path):
                children = tuple(entries.pop())
                add(path, NarDirectory(children))
            case FileStart():
                executable = event.executable
                chunks = []
            case FileChunk(chunk):
                chunks.append(chunk)
            case FileEnd(path):
                add(path, NarFile(b"".join(chunks), executable))
            case _:  # Symlink
                add(event.path, NarSymlink(event.target))
    return entries[0][0][1]


def _read_node(source: _Source, path: list[bytes], last_names: list[bytes]) -> Iterator[NarEvent]:
    """Read a file or link to its end, or the start of a directory, which then is in ``last_names``."""
    source.expect(b"(", b"type")
    kind = source.keyword()
    if kind == b"directory":
        if len(last_names) == MAX_DEPTH:
            raise FormatError(f"more than {MAX_DEPTH} directories within each other")
        last_names.append(b"")
        yield DirectoryStart(tuple(path))
    elif kind == b"regular":
        yield from _read_file(source, tuple(path))
    elif kind == b"symlink":
        source.expect(b"target")
        target = source.text(MAX_TARGET_LENGTH, "a link target")
        check_target(target)
        source.expect(b")")
        yield Symlink(tuple(path), target)
    else:
        raise FormatError(f"expected the type of a node, found {kind!r}")


def _read_file(source: _Source, path: NarPath) -> Iterator[NarEvent]:
    keyword = source.keyword()
    executable = keyword == b"executable"
    if executable:
        source.expect(b"")
        keyword = source.keyword()
    if keyword != b"contents":
        raise FormatError(f"expected the contents of a file, found {keyword!r}")
    size = source.number()
    if size > MAX_FILE_SIZE:
        raise FormatError(f"not a file size: {size}")
    yield FileStart(path, size, executable, source.position)
    left = size
    while left:
        chunk = source.some(min(left, CHUNK_SIZE))
        left -= len(chunk)
        yield FileChunk(chunk)
    source.padding(size)
    source.expect(b")")
    yield FileEnd(path)


class _Source:
    """Tokens from a stream; ``position`` counts the bytes read."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.position = 0

    def some(self, n: int) -> bytes:
        data = self._read(n)
        if not data:
            raise FormatError(f"the NAR ends too early, after {self.position} bytes")
        self.position += len(data)
        return data

    def exactly(self, n: int) -> bytes:
        data = self.some(n) if n else b""
        while len(data) < n:
            data += self.some(n - len(data))
        return data

    def number(self) -> int:
        return int.from_bytes(self.exactly(8), "little")

    def text(self, limit: int, what: str) -> bytes:
        length = self.number()
        if length > limit:
            raise FormatError(f"{what} has at most {limit} bytes, not {length}")
        data = self.exactly(length)
        self.padding(length)
        return data

    def padding(self, length: int) -> None:
        if any(self.exactly(-length % 8)):
            raise FormatError(f"padding that is not zero before byte {self.position} of the NAR")

    def keyword(self) -> bytes:
        return self.text(_MAX_KEYWORD_LENGTH, "a NAR keyword")

    def expect(self, *keywords: bytes) -> None:
        for expected in keywords:
            found = self.keyword()
            if found != expected:
                raise FormatError(f"expected {expected!r} before byte {self.position}, found {found!r}")

    def expect_end(self) -> None:
        if self._read(1):
            raise FormatError(f"more bytes after the end of the NAR at byte {self.position}")
