"""The NAR listing (``<digest>.ls``): what a store object holds, as JSON beside its narinfo.

``{"root": <node>, "version": 1}``, where a node is a directory with its entries, a regular file with its
size and the place of its contents in the NAR, or a symbolic link. With it a single file of a big object
can be fetched by a range request. JSON has text, not bytes, so names and targets must be UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hf_pack.formats import nar
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.nar_reader import DirectoryEnd, DirectoryStart, FileStart, NarEvent, NarPath, Symlink

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A regular file of ``size`` bytes, which begin at ``nar_offset`` in the NAR, where that is known."""

    size: int
    executable: bool = False
    nar_offset: int | None = None

    def __post_init__(self) -> None:
        for number in (self.size, self.nar_offset or 0):
            if not 0 <= number <= nar.MAX_FILE_SIZE:
                raise FormatError(f"not a size or offset in bytes: {number}")


@dataclass(frozen=True, slots=True)
class ListedSymlink:
    """A symbolic link and its target; raises ``FormatError`` for a target that none can have."""

    target: str

    def __post_init__(self) -> None:
        nar.check_target(_bytes(self.target))


@dataclass(frozen=True, slots=True)
class ListedDirectory:
    """A directory: (name, node) pairs in the order of the names' UTF-8 bytes.

    Raises ``FormatError`` for names that a NAR cannot have, out of order or twice.
    """

    entries: tuple[tuple[str, ListedNode], ...]

    def __post_init__(self) -> None:
        previous = b""
        for name, _ in self.entries:
            encoded = _bytes(name)
            nar.check_entry_name(encoded, previous)
            previous = encoded


ListedNode: TypeAlias = ListedFile | ListedSymlink | ListedDirectory


def listing_of(node: nar.NarNode) -> ListedNode:
    """Return the listing of the NAR of ``node`` with the offset of every file; opaque files stay unread.

    Raises ``FormatError`` for a name or target that is not UTF-8.
    """
    return _listing_at(node, nar.MAGIC_SIZE)[0]


def listing_of_events(events: Iterable[NarEvent]) -> ListedNode:
    """Return the listing of a NAR that is being read, with the offset of every file.

    Raises ``FormatError`` for a name or target that is not UTF-8, and what the reader raises.
    """
    entries: list[list[tuple[str, ListedNode]]] = [[]]  # of the root's place and of each open directory

    def add(path: NarPath, node: ListedNode) -> None:
        entries[-1].append((_text(path[-1]) if path else "", node))

    for event in events:
        match event:
            case DirectoryStart():
                entries.append([])
            case DirectoryEnd(path):
                children = tuple(entries.pop())
                add(path, ListedDirectory(children))
            case FileStart(path, size, executable, nar_offset):
                add(path, ListedFile(size, executable, nar_offset))
            case Symlink(path, target):
                add(path, ListedSymlink(_text(target)))
            case _:  # what is in a file, and that it ended
                pass
    return entries[0][0][1]


def format_listing(root: ListedNode) -> str:
    """Return the JSON text, without spaces and with sorted keys, as current Nix writes it.

    ``parse_listing`` reads it back.
    """
    document = {"root": _to_json(root), "version": _VERSION}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parse_listing(text: str) -> ListedNode:
    """Read the JSON text; unknown keys are ignored and the order of entries does not matter.

    Raises ``FormatError``, whose message names the entry.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise FormatError("the listing is nested too deeply") from None
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"the listing is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise FormatError(f"not a listing of version {_VERSION}")
    return _from_json(document.get("root"), "", 0)


def _listing_at(node: nar.NarNode, start: int) -> tuple[ListedNode, int]:
    """Return the listing of a node that begins ``start`` bytes into the NAR, and where it ends."""
    match node:
        case nar.NarFile() | nar.NarOpaqueFile():
            size = len(node.contents) if isinstance(node, nar.NarFile) else node.size
            contents = start + nar.contents_offset(node.executable)
            return (
                ListedFile(size, node.executable, contents),
                contents + size + len(nar.file_trailer(size)),
            )
        case nar.NarSymlink():
            return ListedSymlink(_text(node.target)), start + nar.size(node) - nar.MAGIC_SIZE
        case _:  # NarDirectory
            entries = []
            position = start + nar.DIRECTORY_HEADER_SIZE
            for name, child in node.entries:
                listed, end = _listing_at(child, position + nar.entry_header_size(name))
                entries.append((_text(name), listed))
                position = end + nar.CLOSE_SIZE
            return ListedDirectory(tuple(entries)), position + nar.CLOSE_SIZE


def _to_json(node: ListedNode) -> dict[str, object]:
    match node:
        case ListedFile():
            fields: dict[str, object] = {"type": "regular", "size": node.size}
            if node.executable:
                fields["executable"] = True
            if node.nar_offset is not None:
                fields["narOffset"] = node.nar_offset
            return fields
        case ListedSymlink():
            return {"type": "symlink", "target": node.target}
        case _:  # ListedDirectory
            return {"type": "directory", "entries": {name: _to_json(child) for name, child in node.entries}}


def _from_json(value: object, path: str, depth: int) -> ListedNode:
    try:
        if not isinstance(value, dict):
            raise FormatError("not an object")
        match value.get("type"):
            case "regular":
                return ListedFile(
                    _integer(value, "size"),
                    value.get("executable", False) is True,
                    _integer(value, "narOffset") if "narOffset" in value else None,
                )
            case "symlink":
                target = value.get("target")
                if not isinstance(target, str):
                    raise FormatError("target is not a text")
                return ListedSymlink(target)
            case "directory":
                entries = value.get("entries")
                if not isinstance(entries, dict):
                    raise FormatError("entries is not an object")
                if depth == nar.MAX_DEPTH:
                    raise FormatError(f"more than {nar.MAX_DEPTH} directories within each other")
            case other:
                raise FormatError(f"unknown type {other!r}")
        for name in entries:
            nar.check_entry_name(_bytes(name))
        in_order = sorted(entries.items(), key=lambda entry: _bytes(entry[0]))
    except FormatError as error:
        raise FormatError(f"listing of {path or '/'}: {error}") from error
    return ListedDirectory(tuple((name, _from_json(child, f"{path}/{name}", depth + 1)) for name, child in in_order))


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise FormatError("the listing has a key twice in one object")
    return result


def _integer(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        raise FormatError(f"{name} is not a number")
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FormatError(f"not UTF-8, so it cannot be listed: {data!r}") from None


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormatError(f"not Unicode text: {text!r}") from None
