"""What a person may name: a package of the workspace, a store path, or ``pname@version`` of what a store holds."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.errors import LockError, StoreError, UsageError
from hf_pack.formats.format_error import FormatError
from hf_pack.formats.store_path import STORE_DIR, StorePath
from hf_pack.ports import Store, Workspace
from hf_pack.steps.packages import Package, find_name, load


@dataclass(frozen=True, kw_only=True)
class Target:
    """A store path, and the workspace's package when the person named one."""

    store_path: StorePath
    package: Package | None = None


def resolve(text: str, workspace: Workspace | None, store: Store) -> Target:
    """Raises UsageError, ManifestError, LockError, StoreError."""
    if "/" in text:
        return Target(store_path=parse_store_path(text))
    if "@" in text:
        return Target(store_path=find_version(text, store))
    if workspace is None:
        raise UsageError(
            f"{text!r} is a name, and there is no workspace here",
            hint="hf-pack init, or name a store path or pname@version of what is in the store (hf-pack list)",
        )
    package = load(workspace, find_name(workspace, text))
    return Target(store_path=store_path_of(package), package=package)


def store_path_of(package: Package) -> StorePath:
    """Where the package goes: from its plan, or for a self-contained one from the record of this very plan."""
    store_path = known_store_path(package)
    if store_path is None:
        raise LockError(
            f"{package.name} is self-contained: its store path is known after it was built",
            hint=f"hf-pack build {package.name}",
        )
    return store_path


def known_store_path(package: Package) -> StorePath | None:
    """The store path, None for a self-contained package that was never built as it is planned now."""
    store_path = package.plan.store_path()
    record = package.record
    if store_path is None and record is not None and record.plan_digest == package.plan.digest():
        return record.store_path
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
    found = [info.store_path for info in store.all_paths() if info.store_path.name == wanted]
    if not found:
        raise UsageError(f"{text} is not in the store\n  {store.url}: no object is named {wanted}", hint="hf-pack list")
    if len(found) > 1:
        lines = "\n".join(f"  {path}" for path in found)
        raise StoreError(f"{text} names {len(found)} contents\n{lines}", hint="name the store path")
    return found[0]
