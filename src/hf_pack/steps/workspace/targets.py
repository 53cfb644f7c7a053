"""What a person may name: a package of the workspace, a store path, or ``pname@version`` of what a store holds."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from hf_pack.errors import LockError, UsageError
from hf_pack.formats.store_path import StorePath
from hf_pack.ports import Store, Workspace
from hf_pack.steps.workspace.locate import find_version, path_in, required
from hf_pack.steps.workspace.packages import Package, load
from hf_pack.steps.workspace.workspace_files import find_name


@dataclass(frozen=True, kw_only=True)
class Target:
    """A store path, and the workspace's package when the person named one; not ``named`` is what the store happens to
    hold, and may be collected meanwhile."""

    store_path: StorePath
    package: Package | None = None
    named: bool = True


def resolve(text: str, workspace: Workspace | None, store: Store) -> Target:
    """Raises UsageError, ManifestError, LockError, StoreError."""
    if "/" in text:
        return Target(store_path=path_in(text, store))
    if "@" in text:
        return Target(store_path=find_version(text, store))
    workspace = required(workspace, text)
    package = load(workspace, find_name(workspace, text))
    return Target(store_path=store_path_of(package), package=package)


def readable_packages(workspace: Workspace, but: Container[str]) -> Iterator[tuple[Package, StorePath | None]]:
    """All others that can be planned, with their :func:`known_store_path`; what is wrong with the rest nobody asked."""
    for name in workspace.names():
        if name in but:
            continue
        try:
            package = load(workspace, name)
            store_path = known_store_path(package)
        except (UsageError, LockError):
            continue
        yield package, store_path


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
