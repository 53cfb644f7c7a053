"""The ids that git gives: blobs, Git LFS pointers, trees and commits.

Each is the SHA-1, in 40 lower-case hex digits, of ``<kind> <length>\\0<body>`` (Git's book, "Git Internals: Git
Objects"). The Hub's ``oid`` of a large file is the id of its pointer text (Git LFS specification, "The Pointer").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

AUTHOR = "hub <hub@example.org>"


def blob_id(content: bytes) -> str:
    """The id of a file that git itself holds; it is also the Hub's ETag of it."""
    return object_id("blob", content)


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that git holds in place of a large file; ``sha256`` in 64 hex digits, ``size`` in bytes."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeEntry:
    """One line of a git tree: a base name, the id it stands for, and whether that is a tree."""

    name: str
    oid: str
    directory: bool


def tree_id(entries: Iterable[TreeEntry]) -> str:
    """The id of a directory. Git sorts a directory as if its name ended in ``/``."""
    ordered = sorted(entries, key=lambda entry: entry.name.encode() + (b"/" if entry.directory else b""))
    return object_id(
        "tree",
        b"".join(
            f"{'40000' if entry.directory else '100644'} {entry.name}\0".encode() + bytes.fromhex(entry.oid)
            for entry in ordered
        ),
    )


def commit_id(*, tree: str, parents: tuple[str, ...], seconds: int, message: str) -> str:
    """The id of a commit by one fixed author at ``seconds`` since 1970, UTC."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {AUTHOR} {seconds} +0000", f"committer {AUTHOR} {seconds} +0000", "", message, ""]
    return object_id("commit", "\n".join(lines).encode())


def object_id(kind: str, body: bytes) -> str:
    """The id of a git object with this body; ``kind`` is ``blob``, ``tree`` or ``commit``."""
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()
