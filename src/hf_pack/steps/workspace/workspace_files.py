"""Where things lie in a workspace (DESIGN.md, section 4), and which package a person means."""

from __future__ import annotations

import difflib
import re

from hf_pack.errors import LockError, UsageError
from hf_pack.model import record
from hf_pack.model.record import PackageRecord
from hf_pack.ports import Workspace

_NAME = re.compile(r"[A-Za-z0-9+._?=-]+")  # what a pname may be made of


def manifest_file(name: str) -> str:
    """Relative path of a package's manifest."""
    return f"models/{name}.toml"


def lock_file(name: str) -> str:
    """Relative path of a package's lock."""
    return f"models/{name}.lock"


def record_file(name: str) -> str:
    """Relative path of a package's record."""
    return f"models/{name}.record"


def build_meta_file(name: str) -> str:
    """Relative path of a package's build metadata."""
    return f"build-meta/{name}.json"


def kept_file(name: str, path: str) -> str:
    """Relative path of a file kept beside the lock."""
    return f"models/{name}.files/{path}"


def stem_of(pname: str) -> str:
    """The name of a package's files: its pname with dashes for everything but letters and digits."""
    return re.sub(r"[^A-Za-z0-9]+", "-", pname).strip("-") or "model"


def find_name(workspace: Workspace, text: str) -> str:
    """The manifest stem that a person means: as it is, or written as a pname. Raises UsageError."""
    names = workspace.names()
    text = text.removeprefix("result-") if text not in names else text
    stem = stem_of(text)
    for candidate in (text, stem) if _NAME.fullmatch(text) else ():
        if candidate in names:
            return candidate
    near = difflib.get_close_matches(stem, names, n=1)
    raise UsageError(
        f"no package is called {text!r} in this workspace\n  {workspace.root / 'models'}: "
        + (f"has {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else "has no manifest"),
        hint=f"did you mean {near[0]!r}?" if near else "hf-pack list, or hf-pack add ORG/NAME or a path",
    )


def read_record(workspace: Workspace, name: str) -> PackageRecord | None:
    """Read ``models/<name>.record``; None before the first build. Raises LockError."""
    contents = workspace.read(record_file(name))
    if contents is None:
        return None
    try:
        return record.parse(contents)
    except record.RecordError as error:
        hint = f"rm {record_file(name)} && hf-pack build {name}"
        raise LockError(f"{record_file(name)}: {error}", hint=hint) from None
