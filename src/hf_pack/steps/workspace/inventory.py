"""What there is: the packages of a workspace and of a store."""

from __future__ import annotations

from dataclasses import dataclass

from hf_pack.errors import Error
from hf_pack.formats.store_path import StorePath
from hf_pack.model.path_info import PathInfo
from hf_pack.ports import Store, Workspace
from hf_pack.steps.workspace.packages import read_build_meta, read_manifest
from hf_pack.steps.workspace.workspace_files import lock_file, read_record

RECURSIVE = "fixed:r:sha256:"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One line of `list`. ``name`` is None for a package that only the store has.

    ``store_path`` is that of the last build (or of the object itself), ``in_store`` whether it is valid there.
    ``problem`` is set when the workspace's files cannot be read.
    """

    name: str | None
    pname_and_version: str
    layout: str
    storage: str
    locked: bool
    store_path: StorePath | None
    in_store: bool
    nar_size: int | None
    is_stale: bool = False  #: what was built last goes by another version than the next build will
    problem: str = ""


def inventory(workspace: Workspace | None, store: Store) -> tuple[Listed, ...]:
    """Every package of the workspace, then every other package of the store."""
    valid = {info.store_path: info for info in store.all_paths()}
    rows = []
    if workspace is not None:
        rows = [_of_workspace(name, workspace, set(valid)) for name in workspace.names()]
    known = {row.store_path for row in rows}
    for path, info in sorted(valid.items()):
        if path in known or not _is_package(info, store):
            continue
        rows.append(
            Listed(
                name=None,
                pname_and_version=path.name,
                layout="",
                storage="linked" if info.references else "self-contained",
                locked=False,
                store_path=path,
                in_store=True,
                nar_size=info.nar_size,
            )
        )
    return tuple(rows)


def packages_of(store: Store) -> tuple[PathInfo, ...]:
    """Every package that the store holds, sorted by store path."""
    return tuple(info for info in store.all_paths() if _is_package(info, store))


def _is_package(info: PathInfo, store: Store) -> bool:
    return (info.content_address or "").startswith(RECURSIVE) and store.package_files(info.store_path) is not None


def _of_workspace(name: str, workspace: Workspace, valid: set[StorePath]) -> Listed:
    try:
        manifest = read_manifest(workspace, name)
        version = read_build_meta(workspace, name).version(manifest.base_version)
        record = read_record(workspace, name)
    except Error as error:
        return Listed(
            name=name,
            pname_and_version="",
            layout="",
            storage="",
            locked=workspace.exists(lock_file(name)),
            store_path=None,
            in_store=False,
            nar_size=None,
            problem=error.message.split("\n")[0],
        )
    return Listed(
        name=name,
        pname_and_version=f"{manifest.pname}-{version}",
        layout=manifest.layout.value,
        storage=manifest.storage.value,
        locked=workspace.exists(lock_file(name)),
        store_path=record.store_path if record else None,
        in_store=record is not None and record.store_path in valid,
        nar_size=record.nar_size if record else None,
        is_stale=record is not None and record.store_path.name != f"{manifest.pname}-{version}",
    )
