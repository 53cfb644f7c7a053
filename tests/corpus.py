"""File trees that are hard on archivers, as values and on disk.

``TREES`` names them; ``write_tree`` puts one on disk and ``read_tree`` reads it back, so that
``read_tree(write_tree(tree, path)) == tree``. Nothing here uses the code under test but for the values.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from hf_pack.formats.nar import NarDirectory, NarFile, NarNode, NarSymlink, directory


def _sizes() -> NarDirectory:
    """Files whose lengths lie around the multiples of 8 to which a NAR pads, and around a chunk."""
    lengths = [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1]
    return directory({b"%07d" % n: NarFile(bytes(i * 37 % 256 for i in range(n))) for n in lengths})


def _deep() -> NarDirectory:
    node: NarNode = NarFile(b"at the bottom\n")
    for level in range(60):
        node = directory({b"level%d" % level: node})
    assert isinstance(node, NarDirectory)
    return node


_AWKWARD_NAMES = [
    *[b"-dash", b"--", b".hidden", b"..two", b"...", b"~tilde"],
    *[b"a", b"A", b"aa", b"a0", b"a.b", b"a-b", b"a b", b"a\x01", b" lead", b"trail ", b"n" * 255],
    *[b"new\nline", b"tab\t", b"bell\a", b"\x7f", b"quote'", b'double"', b"back\\slash"],
    *[b"star*", b"que?stion", b"%41", b"$HOME", b"`id`", b"#", b"[x]", b"{x}"],
    *[b"\xff\xfe", b"\xc3(", b"\x80"],  # not UTF-8
    *(text.encode() for text in ("\u00e9", "e\u0301", "中文", "🤗", "ﬁ", "א")),  # the first two look alike
]

TREES: Mapping[str, NarNode] = {
    "empty-file": NarFile(b""),
    "file": NarFile(b"hello\n"),
    "executable-file": NarFile(b"#!/bin/sh\n", executable=True),
    "link": NarSymlink(b"/nowhere/at all"),
    "empty-directory": directory({}),
    "nested-empty-directories": directory({b"a": directory({b"b": directory({})}), b"c": directory({})}),
    "links": directory(
        {
            b"absolute": NarSymlink(b"/nix/store/00000000000000000000000000000000-x"),
            b"dangling": NarSymlink(b"nowhere"),
            b"itself": NarSymlink(b"itself"),
            b"up": NarSymlink(b"../../../x"),
            b"long": NarSymlink(b"t" * 4000),
            b"not-utf-8": NarSymlink(b"\xff\n"),
            b"to-directory": NarSymlink(b"directory"),
            b"directory": directory({b"file": NarFile(b"x", executable=True)}),
        }
    ),
    "awkward-names": directory({name: NarFile(name) for name in _AWKWARD_NAMES}),
    "awkward-directories": directory({name: directory({name: NarFile(b"")}) for name in _AWKWARD_NAMES}),
    "sizes": _sizes(),
    "deep": _deep(),
    "model": directory(
        {
            b"share": directory(
                {
                    b"models": directory(
                        {
                            b"config.json": NarFile(b"{}\n"),
                            b"model.safetensors": NarSymlink(b"../../../00-model.safetensors"),
                        }
                    )
                }
            )
        }
    ),
}


def write_tree(tree: NarNode, path: Path) -> Path:
    """Write ``tree`` to ``path``, which must not exist, and return the path."""
    match tree:
        case NarFile():
            path.write_bytes(tree.contents)
            path.chmod(0o755 if tree.executable else 0o644)
        case NarSymlink():
            path.symlink_to(os.fsdecode(tree.target))
        case NarDirectory():
            path.mkdir()
            for name, child in tree.entries:
                write_tree(child, path / os.fsdecode(name))
        case _:
            raise TypeError(f"cannot write {tree!r}")
    return path


def read_tree(path: Path) -> NarNode:
    """Return what is at ``path``; an executable file is one that its owner may execute."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return NarSymlink(os.fsencode(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        return directory({os.fsencode(child.name): read_tree(child) for child in path.iterdir()})
    return NarFile(path.read_bytes(), bool(status.st_mode & stat.S_IXUSR))
