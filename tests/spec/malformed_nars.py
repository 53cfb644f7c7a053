"""Streams that are no NAR, each for one reason.

Ours refuses every one. Nix 2.8 accepts those that say so: it does not compare names, asks for few fields,
does not look at what follows the archive and bounds no depth. Newer versions refuse more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MalformedNar:
    name: str
    data: bytes
    nix_accepts: bool = False  # Nix 2.8, nix-store --restore


def token(data: bytes, padding: bytes = b"\0") -> bytes:
    return len(data).to_bytes(8, "little") + data + padding * (-len(data) % 8)


def tokens(*words: bytes) -> bytes:
    return b"".join(map(token, words))


MAGIC = token(b"nix-archive-1")
OPEN = tokens(b"(", b"type")
CLOSE = token(b")")
FILE = OPEN + tokens(b"regular", b"contents", b"x") + CLOSE


def entry(name: bytes, node: bytes = FILE) -> bytes:
    return tokens(b"entry", b"(", b"name", name, b"node") + node + CLOSE


def nar_directory(*entries: bytes) -> bytes:
    return OPEN + token(b"directory") + b"".join(entries) + CLOSE


def nested(depth: int) -> bytes:
    """``depth`` directories within each other."""
    node = nar_directory()
    for _ in range(depth - 1):
        node = nar_directory(entry(b"d", node))
    return node


def link(target: bytes) -> bytes:
    return OPEN + tokens(b"symlink", b"target", target) + CLOSE


def length(n: int) -> bytes:
    return n.to_bytes(8, "little")


VALID = MAGIC + nar_directory(
    entry(b"a", OPEN + tokens(b"regular", b"executable", b"", b"contents", b"abc") + CLOSE),
    entry(b"b", link(b"a")),
    entry(b"c", nar_directory(entry(b"d"))),
)


def malformed_nars() -> Iterator[MalformedNar]:
    regular = OPEN + token(b"regular")
    name_field = tokens(b"entry", b"(", b"name")
    before_name = MAGIC + OPEN + token(b"directory") + name_field
    for name, data in {
        "empty": b"",
        "half a length": b"\x0d\0\0",
        "other magic": token(b"nix-archive-2") + FILE,
        "no magic": FILE,
        "magic alone": MAGIC,
        "no parenthesis": MAGIC + tokens(b"type", b"regular", b"contents", b"x") + CLOSE,
        "unknown type": MAGIC + OPEN + token(b"fifo") + CLOSE,
        "unknown field of a file": MAGIC + regular + tokens(b"mode", b"7") + CLOSE,
        "executable with a value": MAGIC + regular + tokens(b"executable", b"1", b"contents", b"x") + CLOSE,
        "link without target": MAGIC + OPEN + tokens(b"symlink", b"contents", b"x") + CLOSE,
        "link to nothing": MAGIC + link(b""),
        "file without end": MAGIC + regular + tokens(b"contents", b"x"),
        "directory without end": MAGIC + OPEN + token(b"directory"),
        "entry without end": MAGIC + OPEN + token(b"directory") + entry(b"a")[: -len(CLOSE)],
        "node before name": MAGIC
        + OPEN
        + tokens(b"directory", b"entry", b"(", b"node")
        + FILE
        + tokens(b"name", b"a")
        + CLOSE
        + CLOSE,
        "unknown word in a directory": MAGIC + OPEN + tokens(b"directory", b"entri") + CLOSE,
        "unknown word in an entry": before_name + token(b"a") + token(b"mode") + FILE + CLOSE + CLOSE,
        "name twice": MAGIC + nar_directory(entry(b"a"), entry(b"a")),
        "link then directory of one name": MAGIC
        + nar_directory(entry(b"a", link(b"/tmp")), entry(b"a", nar_directory(entry(b"b")))),
        "empty name": MAGIC + nar_directory(entry(b"")),
        "name .": MAGIC + nar_directory(entry(b".")),
        "name ..": MAGIC + nar_directory(entry(b"..")),
        "name with slash": MAGIC + nar_directory(entry(b"a/b")),
        "absolute name": MAGIC + nar_directory(entry(b"/a")),
        "name with NUL": MAGIC + nar_directory(entry(b"a\0b")),
        "name of 256 bytes": MAGIC + nar_directory(entry(b"n" * 256)),
        "target of 4096 bytes": MAGIC + link(b"t" * 4096),
        "padding of a name": before_name + token(b"a", b"\1") + token(b"node") + FILE + CLOSE + CLOSE,
        "padding of contents": MAGIC + regular + token(b"contents") + token(b"x", b"\1") + CLOSE,
        "padding of a target": MAGIC + OPEN + tokens(b"symlink", b"target") + token(b"x", b" ") + CLOSE,
        "padding of a keyword": MAGIC + token(b"(", b"\1") + FILE[16:],
        "huge keyword": MAGIC + length(1 << 62),
        "huge name": before_name + length(1 << 62) + b"a",
        "huge target": MAGIC + OPEN + tokens(b"symlink", b"target") + length(1 << 62) + b"a",
        "contents of 2^63 bytes": MAGIC + regular + token(b"contents") + length(1 << 63) + b"x",
        "contents of 2^64 - 1 bytes": MAGIC + regular + token(b"contents") + length((1 << 64) - 1) + b"x",
        "contents longer than the stream": MAGIC + regular + token(b"contents") + length(1 << 40) + b"x",
    }.items():
        yield MalformedNar(name, data)
    for name, data in {
        "file without contents": MAGIC + regular + CLOSE,
        "executable twice": MAGIC + regular + tokens(b"executable", b"", b"executable", b"") + FILE[48:],
        "executable after contents": MAGIC + FILE[: -len(CLOSE)] + tokens(b"executable", b"") + CLOSE,
        "entry without node": before_name + token(b"a") + CLOSE + CLOSE,
        "names out of order": MAGIC + nar_directory(entry(b"b"), entry(b"a")),
        "names out of byte order": MAGIC + nar_directory(entry(b"\xc3\xa9"), entry(b"z")),
        "target with NUL": MAGIC + link(b"a\0b"),
        "name with the marker of the case hack": MAGIC + nar_directory(entry(b"a~nix~case~hack~1")),
        "257 directories within each other": MAGIC + nested(257),
        "a byte after the end": VALID + b"\0",
        "a second archive after the end": VALID + VALID,
    }.items():  # fmt: skip
        yield MalformedNar(name, data, nix_accepts=True)


MALFORMED_NARS = tuple(malformed_nars())
