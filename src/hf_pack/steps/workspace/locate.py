"""Which store path a person means, as far as that is known without planning anything."""

from __future__ import annotations

from pathlib import Path

from hf_pack.errors import LockError, StoreError, UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.ports import Store, Workspace
from hf_pack.steps.workspace.workspace_files import find_name, read_record


def locate(text: str, workspace: Workspace | None, store: Store) -> StorePath:
    """The store path of a package's last build, of ``pname@version``, or the store path itself.

    Raises UsageError, LockError when the package was never built, StoreError when the store does not have it.
    """
    if "/" in text:
        store_path, hint = path_in(text, store), "hf-pack list"
    elif "@" in text:
        store_path, hint = find_version(text, store), "hf-pack list"
    else:
        workspace = required(workspace, text)
        name = find_name(workspace, text)
        record = read_record(workspace, name)
        hint = f"hf-pack build {name}"
        if record is None:
            raise LockError(f"{name} was never built here", hint=hint)
        store_path = record.store_path
    if store.path_info(store_path) is None:
        raise StoreError(f"{store_path} is not in the store\n  {store.url}: does not hold it", hint=hint)
    return store_path


def required(workspace: Workspace | None, text: str) -> Workspace:
    """The workspace that a bare name needs. Raises UsageError when there is none."""
    if workspace is None:
        raise UsageError(
            f"{text!r} is a name, and there is no workspace here",
            hint="hf-pack init, or name a store path or pname@version of what is in the store (hf-pack list)",
        )
    return workspace


def path_in(text: str, store: Store) -> StorePath:
    """The store path that a store path, a path below a store's directory, or a link to one (``result-x``) means.

    Raises UsageError, also for a path that lies in another store than this one.
    """
    place = Path(text)
    if place.is_symlink():
        text = str(place.readlink())
    elif STORE_DIR + "/" not in text and not place.exists():
        raise UsageError(
            f"{text}: no such file or directory",
            hint="hf-pack list, and name a package, pname@version, a store path or a link to one",
        )
    store_path = parse_store_path(text)
    root = text.partition(STORE_DIR + "/")[0]
    if root and Path(root).resolve() != Path(str(store.real_path(store_path)).partition(STORE_DIR + "/")[0]).resolve():
        raise UsageError(
            f"{text} lies in another store\n  this one is {store.url}",
            hint=f"give the same command with --store {root}",
        )
    return store_path


def parse_store_path(text: str) -> StorePath:
    """A store path, or a path inside a store directory (also below another root). Raises UsageError."""
    marker = STORE_DIR + "/"
    base_name = text[text.find(marker) + len(marker) :].split("/")[0] if marker in text else ""
    try:
        return StorePath.parse_base_name(base_name)
    except FormatError as error:
        raise UsageError(
            f"{text} is not a store path: {error}" if base_name else f"{text} is not a store path",
            hint=f"a store path looks like {STORE_DIR}/<32 characters>-<name>",
        ) from None


def find_version(text: str, store: Store) -> StorePath:
    """The store path of ``pname@version``. Raises UsageError, StoreError when several contents bear the name."""
    pname, _, version = text.partition("@")
    wanted = f"{pname}-{version}"
    found = store.named(wanted)
    if not found:
        raise UsageError(f"{text} is not in the store\n  {store.url}: no object is named {wanted}", hint="hf-pack list")
    if len(found) > 1:
        lines = "\n".join(f"  {path}" for path in found)
        raise StoreError(f"{text} names {len(found)} contents\n{lines}", hint="name the store path")
    return found[0]
