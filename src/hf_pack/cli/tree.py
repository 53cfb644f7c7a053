"""A plan drawn as a tree of directories."""

from __future__ import annotations

from collections.abc import Iterator

from hf_pack.cli.output import size_words
from hf_pack.model.plan import Entry, Plan, Symlink

_Node = dict[str, "_Node | Entry"]


def tree_lines(plan: Plan) -> Iterator[str]:
    """One line an entry, indented like a directory listing; links to blobs show the blob's size and name."""
    root: _Node = {}
    for entry in plan.entries:
        *parents, name = entry.path.split("/")
        node = root
        for parent in parents:
            inner = node.setdefault(parent, {})
            assert isinstance(inner, dict)
            node = inner
        node[name] = entry
    yield from _lines(root, "")


def _lines(node: _Node, indent: str) -> Iterator[str]:
    for position, (name, child) in enumerate(node.items()):
        last = position == len(node) - 1
        branch, below = ("└── ", "    ") if last else ("├── ", "│   ")
        if isinstance(child, dict):
            while len(child) == 1 and isinstance(inner := next(iter(child.values())), dict):
                name = f"{name}/{next(iter(child))}"
                child = inner
            yield f"{indent}{branch}{name}/"
            yield from _lines(child, indent + below)
        else:
            yield f"{indent}{branch}{name}{_words(child)}"


def _words(entry: Entry) -> str:
    if isinstance(entry, Symlink):
        if entry.blob is None:
            return f" -> {entry.target}"
        return f" -> blob {entry.blob.store_path.digest[:8]}…  {size_words(entry.blob.size)}"
    return f"  {size_words(entry.size)}"
