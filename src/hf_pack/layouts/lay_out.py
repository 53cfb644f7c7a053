"""Lock to plan: the one way in which a package's tree comes about. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hf_pack.formats.hashes import Hash
from hf_pack.layouts import hub_cache, provenance
from hf_pack.model.build_meta import BuildMeta
from hf_pack.model.lock import Lock
from hf_pack.model.manifest import Layout, Manifest
from hf_pack.model.plan import Entry, Plan

#: The newest text of the layouts. A new lock gets it; one that is there keeps its own until `lock --upgrade`.
LAYOUT_VERSION = 1

#: Every version whose text can still be made, for ever; a second one brings a table of generators by version.
LAYOUT_VERSIONS = (1,)


def lay_out(manifest: Manifest, lock: Lock, build_meta: BuildMeta, kept: Mapping[str, bytes]) -> Plan:
    """The plan of a package.

    ``kept`` has the final bytes, by path, of every locked file that is no blob. Raises ValueError when one is
    missing or is not what the lock says.
    """
    if lock.layout_version not in LAYOUT_VERSIONS:
        raise ValueError(f"layout version {lock.layout_version} is not one that this hf-pack makes")
    for file in lock.files:
        if not file.is_blob:
            contents = kept.get(file.path)
            if contents is None:
                raise ValueError(f"{file.path}: its bytes are missing beside the lock")
            if Hash.sha256_of(contents) != file.sha256:
                raise ValueError(f"{file.path}: its bytes beside the lock are not those that were locked")
    return Plan(
        name=f"{manifest.pname}-{build_meta.version(manifest.base_version)}",
        storage=manifest.storage,
        entries=tuple(sorted(_entries(manifest, lock, build_meta, kept), key=lambda entry: entry.path)),
    )


def _entries(manifest: Manifest, lock: Lock, build_meta: BuildMeta, kept: Mapping[str, bytes]) -> Iterator[Entry]:
    yield from provenance.entries(manifest, lock, build_meta)
    if manifest.layout.has_hub:
        yield from hub_cache.entries(lock, kept, manifest.storage)
    if manifest.triton_model_name is None:
        return
    from hf_pack.layouts import triton  # most commands look at packages and lay none out

    yield from triton.model_files(manifest, manifest.triton_model_name)
    if manifest.layout is Layout.SINGLE:
        yield from triton.weights(manifest, manifest.triton_model_name, lock, kept)
    else:
        yield triton.weights_link(manifest.triton_model_name, hub_cache.snapshot_directory(lock))
        yield from triton.repository(manifest, manifest.triton_model_name, lock)
