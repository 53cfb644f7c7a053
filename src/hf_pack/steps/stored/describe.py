"""What a package in a store says of itself, as an entry of a cache's index. It follows from the object alone."""

from __future__ import annotations

from hf_pack.errors import StoreError
from hf_pack.formats.store_path import StorePath
from hf_pack.model.manifest import Layout, Storage
from hf_pack.model.path_info import PathInfo
from hf_pack.model.published import Published
from hf_pack.ports import PackageFiles, Store
from hf_pack.steps.stored.contents import StoredContents, stored_contents
from hf_pack.steps.stored.package_model import published_model


def describe(info: PathInfo, closure_size: int, store: Store) -> Published:
    """The entry of a package, without signatures. ``closure_size`` is in NAR bytes.

    Raises StoreError for an object that is no package of ours, SourceError for a configuration that is broken.
    """
    contents = stored_contents(info.store_path, store)
    inside = store.package_files(info.store_path)
    assert inside is not None
    pname = inside.provenance.split("/")[1]
    if not info.store_path.name.startswith(f"{pname}-"):
        raise StoreError(
            f"{info.store_path} is not named after the package in it\n"
            f"  {inside.provenance}: expected a store path {pname}-VERSION, found {info.store_path.name}"
        )
    model = published_model(contents)
    return Published(
        pname=pname,
        version=info.store_path.name.removeprefix(f"{pname}-"),
        build_version=inside.build_version or 0,
        store_path=info.store_path,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        closure_size=closure_size,
        layout=_layout(inside),
        storage=Storage.LINKED if info.references else Storage.SELF_CONTAINED,
        quantization=model.summary.quantization_method,
        licence=_text(contents, "licence"),
        repo_id=_text(contents, "repo_id") or "",
        snapshot_id=_text(contents, "snapshot_id") or "",
        files=len(contents.files),
        model=model,
    )


def is_package(store_path: StorePath, store: Store) -> bool:
    """Whether the object is a package, and not a blob or something else that a store may hold."""
    return store.package_files(store_path) is not None


def _layout(inside: PackageFiles) -> Layout:
    if inside.files.endswith("/weights"):
        return Layout.SINGLE
    return Layout.HF if inside.triton_model_name is None else Layout.DUAL


def _text(contents: StoredContents, key: str) -> str | None:
    value = contents.provenance.get(key)
    return value if isinstance(value, str) else None
